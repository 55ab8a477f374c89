"""More gRPC calls than the server takes: each ends with an answer or in a refusal that says when to come back."""

import asyncio
import contextlib
import itertools
import re
import struct
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import grpc
import pytest
from calls import trailers
from grpc_health.v1 import health_pb2, health_pb2_grpc
from nexttoken.v1 import next_token_pb2 as pb
from servers import connect, stub_of

from attack import http2, raw
from attack.bystander import ADDRESS
from attack.floods import flooding
from attack.guard import Guarded, guarded
from attack.tiers import Tiers, running
from inference_server.api.channel_options import max_streams
from inference_server.api.interceptors import MAX_CALLS
from inference_server.settings import Settings

INFERENCE_MB = 150.0
RESET_MB = 40.0
FORGETFUL = {"NEXTTOKEN_CACHE_MB": "16"}  # most calls are answered, and what is cached of them is not in question
BURST = max_streams(Settings().queue_limit)  # of each connection that says nothing


async def outcome(stub: Any, number: int) -> str:
    """How a call of a new session ended, once it is seen that a refusal says when to come back."""
    request = pb.TopKRequest(text=f"question {number}", model="bundled", top_k=1)
    call = stub.TopK(request, timeout=raw.PATIENCE_S, metadata=(("x-session", f"s{number}"),))
    code, words = await call.code(), await call.details()
    if code is grpc.StatusCode.OK:
        return "answered"
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED, (code, words)
    assert re.search("try again|retry|wait for", words), words
    assert int(trailers(await call.trailing_metadata())["grpc-retry-pushback-ms"]) > 0
    return "refused"


async def ends(stub: Any, how: str) -> None:
    """Asks until a call ends like this."""
    async with asyncio.timeout(raw.PATIENCE_S):
        for number in itertools.count():
            if await outcome(stub, number) == how:
                return
            await asyncio.sleep(0.1)


@pytest.mark.slow_attack
@pytest.mark.parametrize("connections", [1, 30])
async def test_three_thousand_calls_at_once(connections: int) -> None:
    with running(FORGETFUL) as tiers, guarded(tiers, inference_mb=INFERENCE_MB):
        async with contextlib.AsyncExitStack() as stack:
            alone = [("grpc.use_local_subchannel_pool", 1)]
            channels = [grpc.aio.insecure_channel(tiers.target, alone) for _ in range(connections)]
            stubs = [stub_of(await stack.enter_async_context(channel)) for channel in channels]
            calls = (outcome(stubs[number % connections], number) for number in range(3000))
            ended = Counter(await asyncio.gather(*calls))
    assert ended["answered"] >= 1
    assert ended.total() == 3000


@pytest.mark.slow_attack
async def test_an_address_of_a_thousand_sessions_leaves_room_for_another() -> None:
    with running(FORGETFUL) as tiers, guarded(tiers):
        async with connect(tiers.target) as stub, asyncio.TaskGroup() as group:
            for number in range(1000):
                group.create_task(outcome(stub, number))
            request = pb.TopKRequest(text="me too", model="bundled", top_k=1)
            for _ in range(9):
                await stub.TopK(request, timeout=raw.PATIENCE_S, metadata=(("x-client", ADDRESS),))


def test_a_connection_has_so_many_streams(tiers: Tiers, watched: Guarded) -> None:
    with raw.connected(tiers.grpc) as connection:
        connection.sendall(http2.PREFACE + http2.frame(http2.SETTINGS, 0, 0))
        heard = connection.recv(1 << 16)
    length = int.from_bytes(heard[:3], "big")
    assert heard[3] == http2.SETTINGS
    pairs = dict(struct.unpack(">HI", heard[at : at + 6]) for at in range(9, 9 + length, 6))
    assert pairs[http2.MAX_CONCURRENT_STREAMS] == BURST


@pytest.mark.slow_attack
def test_rapid_reset_over_many_connections(tiers: Tiers) -> None:
    resetting = 3
    with guarded(tiers, inference_mb=RESET_MB), contextlib.ExitStack() as stack:
        for _ in range(resetting):
            stack.enter_context(flooding("rapid_reset", tiers, 5.0))


@contextlib.contextmanager
def kept_open(peers: Sequence[http2.Peer]) -> Iterator[None]:
    """Answers the server's pings, or it would end these connections."""
    over = threading.Event()

    def listen() -> None:
        while not over.wait(0.1):
            for peer in peers:
                peer.hear()

    listener = threading.Thread(target=listen)
    listener.start()
    try:
        yield
    finally:
        over.set()
        listener.join()


@pytest.mark.slow_attack
async def test_more_open_calls_than_the_server_holds(tiers: Tiers) -> None:
    """A caller is refused in words, whether it speaks or not; probes are answered; all is well once they are gone."""
    async with connect(tiers.target) as stub, grpc.aio.insecure_channel(tiers.target) as probes:
        health = health_pb2_grpc.HealthStub(probes)
        with contextlib.ExitStack() as stack:
            peers = [stack.enter_context(http2.speaking(tiers.grpc)) for _ in range(MAX_CALLS // BURST + 5)]
            for peer in peers:
                peer.send(*(http2.call(peer.stream(), http2.WATCH_MODELS) for _ in range(BURST)))
            stack.enter_context(kept_open(peers))
            await ends(stub, "refused")
            answer = await health.Check(health_pb2.HealthCheckRequest(), timeout=raw.PATIENCE_S)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
            silent = stack.enter_context(http2.speaking(tiers.grpc))
            silent.send(http2.call(silent.stream()))
            assert any(frame.kind == http2.HEADERS for frame in heard_until_end(silent))
        await ends(stub, "answered")


def heard_until_end(peer: http2.Peer) -> list[http2.Frame]:
    """Frames up to the end of the first stream."""
    heard: list[http2.Frame] = []
    while not any(frame.stream == 1 and frame.flags & http2.END_STREAM for frame in heard):
        frames = peer.hear(raw.PATIENCE_S)
        assert frames, heard
        heard += [frame for frame in frames if frame.kind in (http2.HEADERS, http2.DATA)]
    return heard
