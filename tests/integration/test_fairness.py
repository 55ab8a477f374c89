"""Who asks is known from metadata, and one who asks too much leaves room for others: over gRPC."""

import asyncio
from typing import Any

import grpc
import pytest
from calls import busy, failure, trailers, until
from fakes import FakeEngine, fetch
from nexttoken.v1 import next_token_pb2 as pb
from servers import PATIENCE_S, connect, ready, server_here, stub_of

from inference_server.api.auth import trusts_callers
from inference_server.api.calls import host_of
from inference_server.messages import Client
from inference_server.settings import Settings


@pytest.mark.parametrize(
    ("metadata", "client"),
    [
        ({}, Client("127.0.0.1")),
        ({"x-client": "2001:db8:1:2:3::7"}, Client("2001:db8:1:2::")),
        ({"x-client": "10.0.0.7", "x-session": "visitor"}, Client("10.0.0.7", "visitor")),
        ({"x-client": "10.0.0.7", "x-session": "v" * 65}, Client("10.0.0.7")),
        ({"x-client": "v" * 65, "x-session": "visitor"}, Client("127.0.0.1", "visitor")),
        ({"x-session": ""}, Client("127.0.0.1")),
    ],
)
async def test_who_asks(metadata: dict[str, str], client: Client) -> None:
    engine = FakeEngine()
    settings = Settings(model="bundled", grpc_port=0, drain_s=0)
    async with (
        server_here(settings, fetch, lambda name, folder: engine) as server,
        connect(f"127.0.0.1:{server.port}") as stub,
    ):
        await ready(stub, "bundled")
        given = tuple(metadata.items())
        await stub.TopK(pb.TopKRequest(text="a"), metadata=given)
        await stub.Score(pb.ScoreRequest(text="a"), metadata=given)
        await stub.Layers(pb.LayersRequest(text="a"), metadata=given)
        async for _ in stub.Influence(pb.InfluenceRequest(text="ab", target=1), metadata=given):
            pass
        async for _ in stub.Generate(pb.GenerateRequest(text="a", max_tokens=1), metadata=given):
            pass
    assert engine.clients == [client] * 5


@pytest.mark.parametrize(
    ("peer", "host"),
    [
        ("ipv4:127.0.0.1:50123", "127.0.0.1"),
        ("ipv6:[::1]:50123", "::1"),
        ("ipv6:%5B2001:db8::7%5D:50123", "2001:db8::7"),
        ("unix:/run/inference.sock", "unix"),
        ("unix:", "unix"),
        ("", ""),
    ],
)
def test_the_address_of_a_peer(peer: str, host: str) -> None:
    assert host_of(peer) == host


@pytest.mark.parametrize(
    ("chosen", "believed"),
    [
        ({}, True),
        ({"grpc_host": "0.0.0.0", "allow_plaintext": True}, True),
        ({"tls_cert": "a", "tls_key": "b"}, False),
        ({"tls_cert": "a", "tls_key": "b", "tls_client_ca": "c"}, True),
        ({"tls_cert": "a", "tls_key": "b", "auth_token_file": "c"}, True),
        ({"tls_cert": "a", "tls_key": "b", "auth_token": "c" * 16}, True),
    ],
)
def test_callers_are_believed_where_not_just_anybody_can_call(chosen: dict[str, Any], believed: bool) -> None:
    assert trusts_callers(Settings(**chosen)) == believed


async def test_a_client_that_floods_is_refused_while_others_are_served() -> None:
    settings = Settings(model="bundled", grpc_port=0, queue_limit=6, client_share=0.5, drain_s=0, grace_s=PATIENCE_S)

    def ask(stub: Any, text: str, address: str) -> Any:
        metadata = (("x-client", address), ("x-session", text))  # a session for each request
        return stub.TopK(pb.TopKRequest(text=text, top_k=1), metadata=metadata, timeout=PATIENCE_S)

    async with (
        server_here(settings) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        stub = stub_of(channel)
        await ready(stub, "bundled")
        before = server.stats()
        async with busy(server.scheduler):
            flood = [asyncio.ensure_future(ask(stub, f"flood {i}", "10.0.0.7")) for i in range(3)]
            await until(lambda: server.scheduler.in_flight == 4)
            failed = await failure(ask(stub, "flood again", "10.0.0.7"))
            assert failed.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert "this address is at its limit (3 requests" in (failed.details() or "")
            assert int(trailers(failed.trailing_metadata())["grpc-retry-pushback-ms"]) > 0
            other = asyncio.ensure_future(ask(stub, "other", "10.0.0.8"))
            await until(lambda: server.stats().queue.waiting == 4)
            assert server.stats().queue.clients == 5
        assert [len((await call).candidates) for call in (*flood, other)] == [1] * 4
        after = server.stats()
    assert after.queue.refused - before.queue.refused == 1
    assert sum(after.queue.batch_sizes.values()) > sum(before.queue.batch_sizes.values())
    (name,) = after.models
    assert after.models[name].prompts - before.models[name].prompts == 4
    assert after.models[name].computed_tokens > 0
    assert after.logits_cache.misses - before.logits_cache.misses == 4
    store = after.models[name].kv_cache
    assert store is not None
    assert 0 < store.bytes <= store.blocks * store.block_bytes
