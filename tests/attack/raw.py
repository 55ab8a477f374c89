"""HTTP/1.1 over bare sockets: sends any bytes at all, and reads what comes back without trusting its sender."""

import contextlib
import json
import socket
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from attack.tiers import Address

PATIENCE_S = 30.0  # bounds a wait for something that must happen
QUIET_S = 0.5  # without a byte, after which no further answer is expected
GET = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n"
POST = b"POST /api/next-token HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"


@dataclass(frozen=True)
class Answer:
    """One HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    def problem(self) -> dict[str, Any]:
        """The body of a refusal, once it is found to have the one shape."""
        told: dict[str, Any] = json.loads(self.body)
        assert {"error", "code"} <= set(told) <= {"error", "code", "field"}, told
        assert self.headers["content-type"] == "application/json"
        return told


@dataclass(frozen=True)
class Heard:
    """All that came back: complete answers in order, what followed the last of them, and whether the end came."""

    answers: list[Answer]
    rest: bytes
    closed: bool

    @property
    def statuses(self) -> list[int]:
        return [answer.status for answer in self.answers]


@contextlib.contextmanager
def connected(address: Address, source: str = "127.0.0.1") -> Iterator[socket.socket]:
    """A connection that sends each piece as it is given."""
    with socket.create_connection(address, PATIENCE_S, (source, 0)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield connection


def exchange(address: Address, data: bytes, quiet_s: float = QUIET_S) -> Heard:
    """Sends bytes over a new connection, and hears what comes until its end or until nothing more comes."""
    with connected(address) as connection:
        send(connection, data)
        return hear(connection, quiet_s)


def send(connection: socket.socket, data: bytes) -> bool:
    """Whether all bytes could be sent; the server may have hung up."""
    try:
        connection.sendall(data)
    except OSError:
        return False
    return True


def pour(connection: socket.socket, pieces: Iterable[bytes]) -> int:
    """Bytes sent until the pieces end, the server hangs up, or it takes none for PATIENCE_S."""
    sent = 0
    for piece in pieces:
        if not send(connection, piece):
            break
        sent += len(piece)
    return sent


def hear(connection: socket.socket, quiet_s: float = QUIET_S, patience_s: float = PATIENCE_S) -> Heard:
    """What comes back. The first byte is waited for as long as `patience_s`, any other for `quiet_s`."""
    heard, closed = bytearray(), False
    limit = time.monotonic() + patience_s
    while (left := limit - time.monotonic()) > 0:
        connection.settimeout(min(left, quiet_s if heard else patience_s))
        try:
            piece = connection.recv(65536)
        except TimeoutError:
            break
        except OSError:
            piece = b""
        if not piece:
            closed = True
            break
        heard += piece
    answers, rest = parse(bytes(heard))
    return Heard(answers, rest, closed)


def closes(connection: socket.socket, patience_s: float = PATIENCE_S) -> bool:
    """Whether the server ends the connection in that time, whatever it says before."""
    return hear(connection, patience_s, patience_s).closed


def parse(data: bytes) -> tuple[list[Answer], bytes]:
    """Complete answers at the start of some bytes, and the rest."""
    answers: list[Answer] = []
    while data.startswith(b"HTTP/1.1 "):
        head, end, rest = data.partition(b"\r\n\r\n")
        if not end:
            break
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        length = int(headers.get("content-length", 0))
        if "transfer-encoding" in headers:
            body, rest = unchunked(rest)
        else:
            body, rest = rest[:length], rest[length:]
        answers.append(Answer(int(first.split()[1]), headers, body))
        data = rest
    return answers, data


def unchunked(data: bytes) -> tuple[bytes, bytes]:
    """A chunked body at the start of some bytes, and the rest."""
    body = b""
    while True:
        size, _, data = data.partition(b"\r\n")
        length = int(size or b"0", 16)
        body += data[:length]
        data = data[length + 2 :]
        if not length:
            return body, data
