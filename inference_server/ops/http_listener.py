"""A small HTTP server on a thread and an event loop of its own, so that nothing else's work or rest keeps it.

Bounded in all its callers may do: a head has so long and so many bytes, an answer so long to be read, and there are so
many connections; one more takes the place of the one that has kept us waiting longest. Knows no routes.
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

HEAD_S = 5.0  # from the connection's beginning to its request's end
HEAD_BYTES = 16_384
ANSWER_S = 15.0  # for the answer to be found, and read
MOST_OPEN = 256
AT_ONCE = 64  # connections accepted in one turn of the loop: fewer than may be open, so that none goes unheard

logger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: its method, its target, and each value of its Host headers."""

    method: str
    target: str
    hosts: Sequence[str]


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said to it."""

    status: int
    kind: str
    body: bytes


class HttpListener:
    """Serves between start and stop, one request a connection."""

    def __init__(self, answer: Callable[[Asked], Awaitable[Answer]]) -> None:
        """`answer` is called on the listener's own event loop."""
        self.port = 0
        self._answer = answer
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over = asyncio.Event()
        self._unheard: OrderedDict[asyncio.StreamWriter, None] = OrderedDict()  # the oldest first
        self._heard: OrderedDict[asyncio.StreamWriter, None] = OrderedDict()
        self._thread: threading.Thread | None = None

    def start(self, host: str, port: int) -> None:
        """Listens; port 0 picks a free one. Raises OSError."""
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.create_server((host, port), family=family, backlog=AT_ONCE)
        self.port = listening.getsockname()[1]
        self._loop = loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(loop, listening), name="monitor", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Closes the port and its connections."""
        if self._thread is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(self._over.set)
            self._thread.join()
            self._thread = None

    def _run(self, loop: asyncio.AbstractEventLoop, listening: socket.socket) -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(self._serve(listening))

    async def _serve(self, listening: socket.socket) -> None:
        server = await asyncio.start_server(self._connected, sock=listening, backlog=AT_ONCE, limit=HEAD_BYTES)
        await self._over.wait()
        server.close()
        for writer in (*self._unheard, *self._heard):
            writer.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._unheard) + len(self._heard) >= MOST_OPEN:
            slowest, _ = (self._unheard or self._heard).popitem(last=False)
            slowest.transport.abort()
        self._unheard[writer] = None
        try:
            await self._converse(reader, writer)
        except (OSError, TimeoutError) as error:
            logger.debug("monitor connection ended", error=repr(error))
        except Exception:
            logger.exception("monitor request failed")
        finally:
            self._unheard.pop(writer, None)
            self._heard.pop(writer, None)
            writer.transport.abort()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES)
        try:
            async with asyncio.timeout(HEAD_S):
                asked = await heard(connection, reader)
        except h11.RemoteProtocolError as error:
            asked, answer = None, Answer(error.error_status_hint, "text/plain", str(error).encode())
        else:
            if asked is None:
                return
            self._unheard.pop(writer, None)
            self._heard[writer] = None
            answer = await self._answer(asked)
        async with asyncio.timeout(ANSWER_S):
            writer.transport.set_write_buffer_limits(0)  # so that drain returns once all has gone
            writer.write(written(connection, answer, bare=asked is not None and asked.method == "HEAD"))
            await writer.drain()


async def heard(connection: h11.Connection, reader: asyncio.StreamReader) -> Asked | None:
    """The request, once its head is complete; None where none came. Raises RemoteProtocolError where it is none."""
    while (event := connection.next_event()) is h11.NEED_DATA:
        connection.receive_data(await reader.read(HEAD_BYTES))
    if not isinstance(event, h11.Request):
        return None
    hosts = [value.decode("latin-1") for name, value in event.headers if name == b"host"]
    return Asked(event.method.decode("latin-1"), event.target.decode("latin-1"), hosts)


def written(connection: h11.Connection, answer: Answer, bare: bool) -> bytes:
    """An answer as it goes over the wire, the last of its connection; `bare`: without its body."""
    headers = [
        ("content-type", answer.kind),
        ("content-length", str(len(answer.body))),
        ("connection", "close"),
        ("x-content-type-options", "nosniff"),
    ]
    events = (
        h11.Response(status_code=answer.status, headers=headers, reason=HTTPStatus(answer.status).phrase),
        h11.Data(data=b"" if bare else answer.body),
        h11.EndOfMessage(),
    )
    return b"".join(connection.send(event) or b"" for event in events)
