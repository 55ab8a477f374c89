"""Fuzzes the gateway's HTTP protocol as its server builds it, over a transport in memory. Knows no parser by name."""

import asyncio
from functools import cache
from typing import Any

from attack.raw import parse
from starlette.applications import Starlette
from uvicorn.server import ServerState

from fuzz.data import Data
from web_gateway.app import create_app
from web_gateway.http.server import Server
from web_gateway.settings import Settings

TURNS = 8  # of the event loop, enough for one more answer


class Wire(asyncio.Transport):
    """A connection whose far end reads everything at once."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 40_000), "sockname": ("127.0.0.1", 5005)})
        self.said = bytearray()
        self.over = False

    def write(self, data: Any) -> None:
        """After the end it drops what is written, as sockets' transports do."""
        if not self.over:
            self.said += data

    def close(self) -> None:
        self.over = True

    def abort(self) -> None:
        self.over = True

    def is_closing(self) -> bool:
        return self.over

    def pause_reading(self) -> None:
        """The far end has sent all that it will."""

    def resume_reading(self) -> None:
        """See pause_reading."""

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """It never fills."""


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Reads a body as handlers do, and answers with its length; other methods are refused, as all routes do."""
    length = 0
    while scope["method"] == "POST":
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        length += len(message["body"])
        if not message["more_body"]:
            break
    status = 200 if scope["method"] in ("GET", "HEAD", "POST") else 405
    body = b"" if scope["method"] == "HEAD" else b"%8d" % length
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@cache
def surroundings() -> tuple[asyncio.AbstractEventLoop, Server, Starlette]:
    """An event loop, and the gateway's server around an app that only echoes."""
    settings = Settings(port=0)
    app = create_app(settings)
    server = Server(app, settings)
    server.config.load()
    server.config.loaded_app = echo
    return asyncio.new_event_loop(), server, app


def http(data: bytes) -> None:
    """Any bytes in any pieces: at most one answer for each request, none of them a 500, and nothing after the end."""
    loop, server, _ = surroundings()
    loop.run_until_complete(converse(loop, server, data))


async def converse(loop: asyncio.AbstractEventLoop, server: Server, data: bytes) -> None:
    """One connection from its first byte to its end."""
    state, wire = ServerState(), Wire()
    protocol: Any = server.config.http_protocol_class(  # type: ignore[call-arg]  # uvicorn's own way to call it
        config=server.config, server_state=state, app_state={}, _loop=loop
    )
    protocol.connection_made(wire)
    choices = Data(data)
    size = choices.choice((1 << 20, 1, 2, 7, 64))
    rest = choices.rest()
    for at in range(0, len(rest), size):
        if wire.over:
            break
        protocol.data_received(rest[at : at + size])
        if size > 2:
            await asyncio.sleep(0)
    heard = -1
    while len(wire.said) != heard:
        heard = len(wire.said)
        for _ in range(TURNS):
            await asyncio.sleep(0)
    ended = wire.over
    protocol.connection_lost(None)
    for task in list(state.tasks):
        await asyncio.wait_for(task, 1)
    answers, left = parse(bytes(wire.said))
    assert left == b"", left[:100]
    statuses = [answer.status for answer in answers if answer.status != 100]
    taken = [status for status in statuses if status in (200, 405)]
    assert set(statuses) <= {200, 405, 400, 413, 431}, statuses
    assert taken in (statuses, statuses[:-1]), statuses
    assert ended or taken == statuses, "refused, and the connection goes on"
    assert len(taken) <= rest.count(b"\n"), "an answer that nobody asked for"
