"""The HTTP server around the app: its socket, its start, its stop."""

import asyncio
import contextlib
import math
import os
import socket
import sys
from functools import partial
from typing import Any, cast

import structlog
import uvicorn
from starlette.applications import Starlette

from web_gateway.errors import Unavailable
from web_gateway.http.client_address import visitor
from web_gateway.http.protocol import BoundedProtocol, Clocks
from web_gateway.http.shares import Shares
from web_gateway.http.turns import Turns
from web_gateway.inference.client import Call
from web_gateway.settings import Settings

IDLE_S = 65  # longer than common proxies keep a connection, so that they never write to one just closed
RECEIVED = 2**16  # bytes that a connection may bring before we look at them
WORDS_S = 1.0  # more than a body may take: the app refuses a slow one in words first

ANNOUNCE_WITHIN_S = 30.0  # then the address is told even where nothing can answer yet
LOOK_EVERY_S = 0.2

logger = structlog.get_logger()


class CannotListen(Exception):
    """The address can't be served on; the message says why and which setting to change."""


def listen(settings: Settings) -> socket.socket:
    """A socket bound to the settings' address. Raises CannotListen."""
    try:
        (family, _, _, _, address), *_ = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        bound = socket.create_server(address[:2], family=family)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVED)  # its connections have the same
        return bound
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise CannotListen(
            f"the page can't be served on {settings.host} port {settings.port}: {reason}; "
            "NEXTTOKEN_HOST and NEXTTOKEN_PORT choose another address"
        ) from error


def url(bound: socket.socket) -> str:
    """Where a browser on this machine finds the page."""
    host, port = bound.getsockname()[:2]
    if host in ("0.0.0.0", "::", "127.0.0.1", "::1"):  # noqa: S104 - compared, not bound
        host = "localhost"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Server(uvicorn.Server):
    """Says where the page is once it answers; at a stop ends the event streams first, which never end by themselves."""

    def __init__(self, app: Starlette, settings: Settings, clocks: Clocks | None = None) -> None:
        self.app = app
        self._announcing: asyncio.Task[None] | None = None
        self._proxies = settings.trusted_proxies
        protocol = partial(
            BoundedProtocol,
            clocks=clocks or Clocks(body=settings.timeout_s + WORDS_S),
            places=Shares("connections", settings.max_connections, settings.client_connections, self._refused),
            turns=Turns(),
            named=self._named,
        )
        super().__init__(
            uvicorn.Config(
                app,
                loop="uvloop",
                http=cast(Any, protocol),
                ws="none",
                lifespan="on",
                log_config=None,
                log_level="warning",
                access_log=False,
                proxy_headers=False,  # the app believes those that are listed
                server_header=False,
                timeout_keep_alive=IDLE_S,
                timeout_graceful_shutdown=math.ceil(settings.grace_s),
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts serving; the page's address is printed once the page can answer."""
        await super().startup(sockets)
        if self.started and sockets:
            logger.info("serving", url=url(sockets[0]))
            self._announcing = asyncio.create_task(self._announce(url(sockets[0])))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends the event streams, then lets the work in flight finish."""
        if self._announcing is not None:
            self._announcing.cancel()
        self.app.state.feed.close()
        await super().shutdown(sockets)

    def _refused(self, reason: str) -> None:
        self.app.state.metrics.refused(reason)

    def _named(self, address: str) -> str | None:
        """Whose connection it is; None: a trusted proxy's, which has those of its visitors."""
        return None if any(address in proxy for proxy in self._proxies) else visitor(address)

    async def _announce(self, address: str) -> None:
        note = "; it waits for the inference server"
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANNOUNCE_WITHIN_S):
                while not await self._can_answer():  # noqa: ASYNC110  # what is awaited is in another process
                    await asyncio.sleep(LOOK_EVERY_S)
            note = ""
        sys.stdout.write(f"Next-Token Visualizer: {address}{note}\n")
        sys.stdout.flush()

    async def _can_answer(self) -> bool:
        try:
            await self.app.state.inference.check_ready(Call.endless(), quiet=True)
        except Unavailable:
            return False
        return True
