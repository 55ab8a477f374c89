"""A small HTTP server with its own thread and event loop, so that nothing else in the process can block it.

Slow clients can't block it either: request heads are limited in time and size, responses in time, and a connection
beyond MAX_CONNECTIONS closes the one that has been waiting longest.
"""

import asyncio
import socket
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus

import h11
import structlog

HEAD_S = 5.0  # to send the request, from the start of the connection
HEAD_BYTES = 16_384
RESPONSE_S = 15.0  # to produce and send the response
MAX_CONNECTIONS = 256
BACKLOG = 64  # accepted per loop iteration; below MAX_CONNECTIONS, so that none is closed before it is read

logger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Request:
    """`hosts`: the values of all Host headers."""

    method: str
    target: str
    hosts: Sequence[str]


@dataclass(frozen=True, slots=True)
class Response:
    """Status, media type and body."""

    status: int
    media_type: str
    body: bytes


class HttpListener:
    """Serves one request per connection, between start and stop."""

    def __init__(self, answer: Callable[[Request], Awaitable[Response]]) -> None:
        """`answer` runs on the listener's event loop."""
        self.port = 0
        self._answer = answer
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = asyncio.Event()
        self._reading: OrderedDict[asyncio.StreamWriter, None] = OrderedDict()  # oldest first
        self._responding: OrderedDict[asyncio.StreamWriter, None] = OrderedDict()
        self._thread: threading.Thread | None = None

    def start(self, host: str, port: int) -> None:
        """Starts listening; port 0 picks a free port. Raises OSError."""
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
        self.port = listening.getsockname()[1]
        self._loop = loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(loop, listening), name="admin-http", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Closes the port and all connections."""
        if self._thread is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(self._stopped.set)
            self._thread.join()
            self._thread = None

    def _run(self, loop: asyncio.AbstractEventLoop, listening: socket.socket) -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(self._serve(listening))

    async def _serve(self, listening: socket.socket) -> None:
        server = await asyncio.start_server(self._connected, sock=listening, backlog=BACKLOG, limit=HEAD_BYTES)
        await self._stopped.wait()
        server.close()
        for writer in (*self._reading, *self._responding):
            writer.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._reading) + len(self._responding) >= MAX_CONNECTIONS:
            slowest, _ = (self._reading or self._responding).popitem(last=False)
            slowest.transport.abort()
        self._reading[writer] = None
        try:
            await self._handle(reader, writer)
        except (OSError, TimeoutError) as error:
            logger.debug("admin connection closed", error=repr(error))
        except Exception:
            logger.exception("admin request failed")
        finally:
            self._reading.pop(writer, None)
            self._responding.pop(writer, None)
            writer.transport.abort()

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES)
        try:
            async with asyncio.timeout(HEAD_S):
                request = await read_request(connection, reader)
        except h11.RemoteProtocolError as error:
            request, response = None, Response(error.error_status_hint, "text/plain", str(error).encode())
        else:
            if request is None:
                return
            self._reading.pop(writer, None)
            self._responding[writer] = None
            response = await self._answer(request)
        async with asyncio.timeout(RESPONSE_S):
            writer.transport.set_write_buffer_limits(0)  # drain returns only when everything is sent
            writer.write(serialize(connection, response, head=request is not None and request.method == "HEAD"))
            await writer.drain()


async def read_request(connection: h11.Connection, reader: asyncio.StreamReader) -> Request | None:
    """None if the client closed the connection. Raises RemoteProtocolError for malformed requests."""
    while (event := connection.next_event()) is h11.NEED_DATA:
        connection.receive_data(await reader.read(HEAD_BYTES))
    if not isinstance(event, h11.Request):
        return None
    hosts = [value.decode("latin-1") for name, value in event.headers if name == b"host"]
    return Request(event.method.decode("latin-1"), event.target.decode("latin-1"), hosts)


def serialize(connection: h11.Connection, response: Response, head: bool) -> bytes:
    """The response to a GET, or with `head` to a HEAD request."""
    headers = [
        ("content-type", response.media_type),
        ("content-length", str(len(response.body))),
        ("connection", "close"),
        ("x-content-type-options", "nosniff"),
    ]
    events = (
        h11.Response(status_code=response.status, headers=headers, reason=HTTPStatus(response.status).phrase),
        h11.Data(data=b"" if head else response.body),
        h11.EndOfMessage(),
    )
    return b"".join(connection.send(event) or b"" for event in events)
