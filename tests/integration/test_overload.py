"""A full server, requests that come too late, clients that leave: on the bundled model and its real worker thread."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import grpc
import pytest_asyncio
import torch
from calls import busy, detail, failure, trailers, until, until_health
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from nexttoken.v1 import next_token_pb2 as pb
from servers import PATIENCE_S, ready, server_here, stub_of

from inference_server import errors
from inference_server.settings import Settings

LIMIT = 3


@pytest_asyncio.fixture
async def small() -> AsyncIterator[Any]:
    """A server that takes LIMIT requests at a time."""
    torch.set_num_threads(1)
    settings = Settings(
        model="bundled", grpc_port=0, queue_limit=LIMIT, client_share=1.0, drain_s=0, grace_s=PATIENCE_S
    )
    async with (
        server_here(settings) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        stub = stub_of(channel)
        await ready(stub, "bundled")
        (await until_health(channel, health_pb2.HealthCheckResponse.SERVING)).cancel()
        yield SimpleNamespace(
            stub=stub, scheduler=server.scheduler, health=health_pb2_grpc.HealthStub(channel), server=server
        )


def ask(small: Any, text: str, timeout: float = PATIENCE_S) -> Any:
    return small.stub.TopK(pb.TopKRequest(text=text, top_k=1), timeout=timeout)


async def in_flight(small: Any, count: int) -> None:
    await until(lambda: small.scheduler.in_flight == count)


async def test_a_full_server_refuses_at_once_and_serves_again(small: Any) -> None:
    async with busy(small.scheduler):
        waiting = [asyncio.ensure_future(ask(small, text)) for text in ("one", "two")]
        await in_flight(small, LIMIT)
        failed = await failure(ask(small, "three"))
        assert failed.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        pushback = int(trailers(failed.trailing_metadata())["grpc-retry-pushback-ms"])
        assert pushback > 0
        assert detail(failed, error_details_pb2.RetryInfo).retry_delay.ToMilliseconds() == pushback
        assert not any(call.done() for call in waiting)
    assert [len((await call).candidates) for call in waiting] == [1, 1]
    await in_flight(small, 0)
    assert len((await ask(small, "three")).candidates) == 1


async def test_health_and_models_answer_while_the_queue_is_full_and_torch_computes(small: Any) -> None:
    matrix = torch.ones(256, 256)
    async with busy(small.scheduler, lambda: matrix @ matrix):
        waiting = [asyncio.ensure_future(ask(small, text)) for text in ("one", "two")]
        await in_flight(small, LIMIT)
        checked = await small.health.Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE_S)
        assert checked.status == health_pb2.HealthCheckResponse.SERVING
        assert len((await small.stub.ListModels(pb.ListModelsRequest(), timeout=PATIENCE_S)).models) == 1
        assert not any(call.done() for call in waiting)
    await asyncio.gather(*waiting)


async def test_a_request_too_late_is_refused_and_never_computed(small: Any) -> None:
    async with busy(small.scheduler):
        failed = await failure(ask(small, "late", timeout=0.1))
        assert failed.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await in_flight(small, 1)
    await in_flight(small, 0)
    assert (await ask(small, "late")).prompt.cached_tokens == 0
    assert (await ask(small, "late")).prompt.cached_tokens > 0


async def test_a_request_whose_client_left_frees_its_slot_and_is_never_computed(small: Any) -> None:
    async with busy(small.scheduler):
        gone = [ask(small, "gone") for _ in range(LIMIT - 1)]
        await in_flight(small, LIMIT)
        for call in gone:
            call.cancel()
        await in_flight(small, 1)
        stays = asyncio.ensure_future(ask(small, "stays"))
        await in_flight(small, 2)
    assert (await stays).prompt.cached_tokens == 0
    prompt = (await ask(small, "gone")).prompt
    assert prompt.cached_tokens < prompt.token_count
    for call in gone:
        with contextlib.suppress(asyncio.CancelledError):
            await call


async def test_a_client_that_breaks_off_its_connection_frees_its_slots(small: Any) -> None:
    async with busy(small.scheduler):
        async with grpc.aio.insecure_channel(f"127.0.0.1:{small.server.port}") as channel:
            calls = [stub_of(channel).TopK(pb.TopKRequest(text="broken off")) for _ in range(LIMIT - 1)]
            await in_flight(small, LIMIT)
        await in_flight(small, 1)
        for call in calls:
            with contextlib.suppress(asyncio.CancelledError, grpc.aio.AioRpcError):
                await call
    assert (await ask(small, "broken off")).prompt.cached_tokens == 0


async def test_a_request_that_outlasts_the_grace_is_told_so() -> None:
    settings = Settings(model="bundled", grpc_port=0, drain_s=0, grace_s=0.1)
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(server_here(settings))
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(f"127.0.0.1:{server.port}"))
        await ready(stub_of(channel), "bundled")
        with contextlib.suppress(errors.Stopping):
            async with busy(server.scheduler):
                waiting = asyncio.ensure_future(stub_of(channel).TopK(pb.TopKRequest(text="in vain")))
                await until(lambda: server.scheduler.in_flight == 2)
                stopping = asyncio.ensure_future(server.stop())
                failed = await failure(waiting)
        await stopping
        assert failed.code() is grpc.StatusCode.UNAVAILABLE
        assert "stopping" in (failed.details() or "")


async def test_a_request_in_flight_outlives_the_stop_and_a_new_one_is_refused() -> None:
    settings = Settings(model="bundled", grpc_port=0, drain_s=0, grace_s=PATIENCE_S)
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(server_here(settings))
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(f"127.0.0.1:{server.port}"))
        await ready(stub_of(channel), "bundled")
        async with busy(server.scheduler):
            waiting = asyncio.ensure_future(stub_of(channel).TopK(pb.TopKRequest(text="in flight")))
            await until(lambda: server.scheduler.in_flight == 2)
            server.registry.stop()
            failed = await failure(stub_of(channel).TopK(pb.TopKRequest(text="too late")))
            assert failed.code() is grpc.StatusCode.UNAVAILABLE
            assert "stopping" in (failed.details() or "")
        assert len((await waiting).candidates) == 10
