"""The HTTP server: listening, startup and shutdown."""

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
from web_gateway.inference.call import Call
from web_gateway.settings import Settings

KEEP_ALIVE_S = 65  # longer than common proxies, so they never write to a connection that was just closed
RECEIVE_BUFFER_BYTES = 2**16  # per connection
BODY_GRACE_S = 1.0  # so the app answers a slow body with 408 before the connection is cut

ANNOUNCE_TIMEOUT_S = 30.0  # then the URL is printed even if no model is ready
READY_POLL_S = 0.2

logger = structlog.get_logger()


class CannotListen(Exception):
    """The address is not available. The message says why and which setting to change."""


def listen(settings: Settings) -> socket.socket:
    """A socket listening on the configured address. Raises CannotListen."""
    try:
        (family, _, _, _, address), *_ = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        bound = socket.create_server(address[:2], family=family)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)  # inherited by its connections
        return bound
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise CannotListen(
            f"can't listen on {settings.host} port {settings.port}: {reason}; "
            "set NEXTTOKEN_HOST or NEXTTOKEN_PORT to another address"
        ) from error


def url(bound: socket.socket) -> str:
    """The page's URL for a browser on this machine."""
    host, port = bound.getsockname()[:2]
    if host in ("0.0.0.0", "::", "127.0.0.1", "::1"):  # noqa: S104 - compared, not bound
        host = "localhost"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Server(uvicorn.Server):
    """Prints the page's URL once it is ready. On shutdown, ends the event streams first: they never end themselves."""

    def __init__(self, app: Starlette, settings: Settings, clocks: Clocks | None = None) -> None:
        self.app = app
        self._announcing: asyncio.Task[None] | None = None
        self._proxies = settings.trusted_proxies
        protocol = partial(
            BoundedProtocol,
            clocks=clocks or Clocks(body=settings.timeout_s + BODY_GRACE_S),
            places=Shares("connections", settings.max_connections, settings.client_connections, self._refused),
            turns=Turns(),
            named=self._client,
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
                proxy_headers=False,  # the app handles trusted proxies
                server_header=False,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=math.ceil(settings.grace_s),
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts serving and polls for readiness."""
        await super().startup(sockets)
        if self.started and sockets:
            logger.info("serving", url=url(sockets[0]))
            self._announcing = asyncio.create_task(self._announce(url(sockets[0])))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends the event streams, then lets requests in flight finish."""
        if self._announcing is not None:
            self._announcing.cancel()
        self.app.state.feed.close()
        await super().shutdown(sockets)

    def _refused(self, reason: str) -> None:
        self.app.state.metrics.refused(reason)

    def _client(self, address: str) -> str | None:
        """The client of a connection; None for a trusted proxy, which carries many clients."""
        return None if any(address in proxy for proxy in self._proxies) else visitor(address)

    async def _announce(self, address: str) -> None:
        note = " (waiting for the inference server)"
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANNOUNCE_TIMEOUT_S):
                while not await self._is_ready():  # noqa: ASYNC110  # the state is in another process
                    await asyncio.sleep(READY_POLL_S)
            note = ""
        sys.stdout.write(f"Next-Token Visualizer: {address}{note}\n")
        sys.stdout.flush()

    async def _is_ready(self) -> bool:
        try:
            await self.app.state.inference.check_ready(Call.without_deadline(), quiet=True)
        except Unavailable:
            return False
        return True
