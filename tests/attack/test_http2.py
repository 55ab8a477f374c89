"""HTTP/2 that no gRPC client speaks: packed bombs, streams left open, windows kept shut. Others notice nothing."""

import gzip
import re
import zlib
from collections.abc import Iterable

import pytest

from attack.guard import guarded
from attack.http2 import (
    END_STREAM,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    RST_STREAM,
    TOP_K,
    WATCH_MODELS,
    Peer,
    call,
    frame,
    message,
    speaking,
)
from attack.raw import PATIENCE_S
from attack.tiers import Tiers

RESOURCE_EXHAUSTED, INTERNAL = 8, 13  # gRPC's
ASK = b"\x12\x04Once\x18\xe8\x07\x58\x01"  # "Once", a thousand candidates, the partition


def answers(peer: Peer, streams: Iterable[int]) -> dict[int, bytes]:
    """The headers and trailers with which the server ended these streams; empty ones where it reset them."""
    ends: dict[int, bytes] = {}
    while set(streams) - set(ends):
        frames = peer.hear(PATIENCE_S)
        assert frames, f"no end of {set(streams) - set(ends)}"
        for each in frames:
            if each.kind == RST_STREAM:
                ends.setdefault(each.stream, b"")
            elif each.flags & END_STREAM and each.kind == HEADERS:
                ends[each.stream] = each.payload
    return ends


def status(end: bytes) -> int:
    """The gRPC status in such trailers, which come without Huffman's code."""
    found = re.search(rb"grpc-status[\x01\x02](\d+)", end)
    assert found, end
    return int(found[1])


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_message_that_unpacks_to_very_much(tiers: Tiers, coding: str) -> None:
    """A request's length is bounded once it is unpacked, and it is not unpacked beyond."""
    text = b"\x12" + b"\xff\xff\xff\x7f" + b"\x00" * 100_000_000
    packed = gzip.compress(text, 1) if coding == "gzip" else zlib.compress(text, 1)
    with guarded(tiers, inference_mb=80), speaking(tiers.grpc) as peer:
        streams = [peer.stream() for _ in range(2)]
        for stream in streams:
            peer.send(call(stream, extra=[("grpc-encoding", coding)]), message(stream, packed, compressed=True))
        assert {status(end) for end in answers(peer, streams).values()} == {RESOURCE_EXHAUSTED}


def test_messages_of_no_known_coding(tiers: Tiers) -> None:
    with guarded(tiers), speaking(tiers.grpc) as peer:
        first, second, third = (peer.stream() for _ in range(3))
        peer.send(call(first, extra=[("grpc-encoding", "zstd")]), message(first, b"abc", compressed=True))
        peer.send(call(second), message(second, b"abc", compressed=True))
        peer.send(call(third, extra=[("grpc-encoding", "gzip")]), message(third, b"not gzip", compressed=True))
        ends = answers(peer, [first, second, third])
        assert {status(end) for end in ends.values()} == {INTERNAL}


@pytest.mark.parametrize("path", [TOP_K, WATCH_MODELS, "/no/such", "", "/" + "a" * 7000])
def test_streams_that_never_say_what_they_want(tiers: Tiers, path: str) -> None:
    """Calls without their message wait for it; their number costs little and their end frees them."""
    with guarded(tiers), speaking(tiers.grpc) as peer:
        peer.send(*(call(peer.stream(), path) for _ in range(300)))
        peer.hear(1.0)


def test_answers_that_are_never_read(tiers: Tiers) -> None:
    """Windows of 0 keep every answer on the server until its connection ends."""
    with guarded(tiers, inference_mb=80), speaking(tiers.grpc, [(INITIAL_WINDOW_SIZE, 0)]) as peer:
        for _ in range(300):
            stream = peer.stream()
            peer.send(call(stream), message(stream, ASK))
        peer.hear(2.0)


def test_frames_out_of_place(tiers: Tiers) -> None:
    """Each ends its own connection at most."""
    nonsense = [
        b"\x00\x00\x00\x00\x01\x00\x00\x00\x00",  # DATA of no stream
        frame(HEADERS, 4, 2, b"\x82"),  # a stream of the server's
        frame(HEADERS, 4, 1, b"\xff" * 100),  # no HPACK
        frame(RST_STREAM, 0, 0, bytes(4)),
        frame(4, 0, 0, b"\x00\x04\xff\xff\xff\xff"),  # a window beyond 31 bits
        frame(4, 0, 0, b"\x00"),
        frame(8, 0, 0, bytes(4)),  # a window that grows by nothing
        frame(9, 4, 1, b"\x82"),  # a continuation of nothing
        frame(6, 0, 0, b"short"),
        frame(99, 255, 77, b"?" * 100),
        b"\xff\xff\xff" + bytes(6) + b"a" * 1000,  # a frame of 16 MB
        b"GET / HTTP/1.1\r\n\r\n",
    ]
    with guarded(tiers):
        for data in nonsense:
            with speaking(tiers.grpc) as peer:
                peer.send(data)
                peer.hear(0.3)


@pytest.mark.slow_attack
def test_twenty_thousand_open_streams(tiers: Tiers) -> None:
    with guarded(tiers, inference_mb=250), speaking(tiers.grpc) as first, speaking(tiers.grpc) as second:
        for _ in range(100):
            for peer in (first, second):
                peer.send(*(call(peer.stream(), WATCH_MODELS) for _ in range(100)))
                peer.hear()
