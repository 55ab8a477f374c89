"""Metrics and the three probes on a port of their own, and a model thread that is really stuck."""

import asyncio
import contextlib
import re
import socket
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fakes
import gateways
import grpc
import httpx
import pytest
from calls import busy, failure, until, until_health
from grpc_health.v1 import health_pb2, health_pb2_grpc
from nexttoken.v1 import next_token_pb2 as pb
from servers import PATIENCE_S, ready, server_here, stub_of

from inference_server.engine import engine as engines
from inference_server.models.registry import OnProgress
from inference_server.server import CannotListen, assemble
from inference_server.settings import Settings

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
PASSWORD = "0123456789abcdef0123"  # noqa: S105 - of this test alone
PROBES = ("/healthz", "/startupz", "/readyz")


@contextlib.asynccontextmanager
async def monitored(*, fake: bool = True, fetch: Any = fakes.fetch, **chosen: Any) -> AsyncIterator[Any]:
    """A server and clients of both its ports; `fake`: with a model that answers at once."""
    settings = Settings(model="bundled", grpc_port=0, metrics_port=0, drain_s=0, grace_s=PATIENCE_S, **chosen)
    engine = fakes.FakeEngine()
    async with contextlib.AsyncExitStack() as stack:
        here = server_here(settings, fetch, lambda name, folder: engine) if fake else server_here(settings)
        server = await stack.enter_async_context(here)
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(f"127.0.0.1:{server.port}"))
        address = f"http://127.0.0.1:{server.admin.port}"
        web = await stack.enter_async_context(httpx.AsyncClient(base_url=address, timeout=PATIENCE_S))
        yield SimpleNamespace(server=server, channel=channel, stub=stub_of(channel), web=web, engine=engine)


async def probed(here: Any) -> list[int]:
    return [(await here.web.get(path)).status_code for path in PROBES]


async def health(here: Any) -> list[int]:
    stub = health_pb2_grpc.HealthStub(here.channel)
    names = ("live", "startup", "")
    return [(await stub.Check(health_pb2.HealthCheckRequest(service=name))).status for name in names]


def sample(text: str, name: str, **labels: str) -> float:
    return gateways.sample(text, f"nexttoken_inference_{name}", **labels)


async def metrics(here: Any) -> str:
    return str((await here.web.get("/metrics")).text)


async def test_alive_then_started_then_ready() -> None:
    gate = threading.Event()

    def fetch(name: str, on_progress: OnProgress) -> Path:
        on_progress(3_000_000, 7_000_000)
        assert gate.wait(PATIENCE_S)
        return Path("/models", name)

    async with monitored(fetch=fetch) as here:
        await until(lambda: here.server.registry.models()[0].bytes_done > 0)
        assert await probed(here) == [200, 503, 503]
        assert await health(here) == [SERVING, NOT_SERVING, NOT_SERVING]
        assert "bundled is downloading: 3 of 7 MB" in (await here.web.get("/startupz")).json()["error"]
        gate.set()
        await until_health(here.channel, SERVING)
        assert await probed(here) == [200, 200, 200]
        assert await health(here) == [SERVING, SERVING, SERVING]


async def test_a_server_that_drains_is_alive_and_not_ready() -> None:
    async with monitored() as here:
        await ready(here.stub, "bundled")
        async with busy(here.server.scheduler):
            watch = await until_health(here.channel, SERVING)
            stopping = asyncio.create_task(here.server.stop())
            assert (await watch.read()).status == NOT_SERVING
            watch.cancel()
            assert [(await here.web.get(path)).status_code for path in PROBES] == [200, 200, 503]
            assert (await here.web.get("/readyz")).json()["error"] == "the server is stopping"
        await stopping


async def test_a_stuck_model_turns_readiness_off_until_it_moves() -> None:
    gate = threading.Event()
    async with monitored(fake=False, stall_s=0.2) as here:
        await ready(here.stub, "bundled")
        await until_health(here.channel, SERVING)
        engine: Any = here.server.registry.engine("bundled")[1]
        assert isinstance(engine, engines.Engine)
        network: Any = engine.executor.model.network
        stuck = network.get_input_embeddings().register_forward_pre_hook(lambda *_: gate.wait(PATIENCE_S) and None)
        asking = asyncio.ensure_future(here.stub.TopK(pb.TopKRequest(text="Once upon"), timeout=PATIENCE_S))
        watch = await until_health(here.channel, NOT_SERVING)
        assert await probed(here) == [200, 200, 503]
        assert await health(here) == [SERVING, SERVING, NOT_SERVING]
        assert re.search(r"no step finished in \d+ s", (await here.web.get("/readyz")).json()["error"])
        assert sample(await metrics(here), "ready") == 0
        assert sample(await metrics(here), "still_seconds") > 0.2
        gate.set()
        assert len((await asking).candidates) == 10
        assert (await watch.read()).status == SERVING
        assert await probed(here) == [200, 200, 200]
        watch.cancel()
        stuck.remove()


async def test_work_that_takes_many_steps_is_not_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    async with monitored(fake=False, stall_s=PATIENCE_S) as here:
        await ready(here.stub, "bundled")
        progress = here.server.scheduler.watchdog
        seen: list[float] = []
        end = progress.end

        def ended(more: bool) -> None:
            seen.append(progress.still_s())
            end(more)

        monkeypatch.setattr(progress, "end", ended)
        await here.stub.TopK(pb.TopKRequest(token_ids=pb.TokenIds(ids=[5] * 500)), timeout=PATIENCE_S)
        await until(lambda: progress.still_s() == 0)
        assert len(seen) >= 4  # 500 tokens take steps of 128


async def test_calls_are_counted_by_what_became_of_them() -> None:
    async with monitored() as here:
        await ready(here.stub, "bundled")
        await here.stub.TopK(pb.TopKRequest(text="hello"))
        await here.stub.Score(pb.ScoreRequest(text="hello"))
        await failure(here.stub.TopK(pb.TopKRequest()))
        for name in ("a", "b", "c"):
            await failure(here.stub.TopK(pb.TopKRequest(text="x", model=name)))
        text = await metrics(here)
    assert sample(text, "calls_total", rpc="TopK", model="bundled", code="OK") == 1
    assert sample(text, "calls_total", rpc="TopK", model="bundled", code="INVALID_ARGUMENT") == 1
    assert sample(text, "calls_total", rpc="TopK", model="none", code="NOT_FOUND") == 3
    assert sample(text, "tokens_total", rpc="TopK", model="bundled") == 5
    assert sample(text, "tokens_total", rpc="Score", model="bundled") == 5
    for phase in ("queue", "tokenize", "model", "total"):
        assert sample(text, "phase_seconds_count", rpc="TopK", model="bundled", phase=phase) == 1
    assert sample(text, "model_state", model="bundled", state="ready") == 1
    assert sample(text, "model_state", model="bundled", state="failed") == 0
    assert set(re.findall(r'model="([^"]*)"', text)) == {"bundled", "none"}


async def test_the_queue_is_seen_while_it_is_long() -> None:
    async with monitored(fake=False, queue_limit=9) as here:
        await ready(here.stub, "bundled")
        async with busy(here.server.scheduler):
            waiting = [asyncio.ensure_future(here.stub.TopK(pb.TopKRequest(text=text))) for text in ("one", "two")]
            await until(lambda: here.server.scheduler.stats.waiting == 2)
            text = await metrics(here)
            assert [sample(text, name) for name in ("queue_depth", "requests_in_flight", "queue_limit")] == [2, 3, 9]
        await asyncio.gather(*waiting)
        again = await here.stub.TopK(pb.TopKRequest(text="one"))
        text = await metrics(here)
    assert again.prompt.cached_tokens > 0
    assert sample(text, "distribution_cache_hits_total") >= 1
    assert sample(text, "distribution_cache_misses_total") == 2
    assert sample(text, "distribution_cache_entries") >= 2
    assert sample(text, "prompts_total", model="bundled") == 3
    assert sample(text, "batch_size_bucket", le="2") >= sample(text, "batch_size_bucket", le="1")
    assert sample(text, "batch_size_bucket", le="+Inf") == sample(text, "batch_size_count") > 0
    assert sample(text, "kv_cache_bytes", model="bundled") > 0
    assert [sample(text, name) for name in ("queue_depth", "requests_in_flight")] == [0, 0]


async def test_calls_without_a_token_are_counted() -> None:
    async with monitored(auth_token=PASSWORD) as here:
        failed = await failure(here.stub.TopK(pb.TopKRequest(text="hello")))
        assert failed.code() is grpc.StatusCode.UNAUTHENTICATED
        assert sample(await metrics(here), "unauthenticated_total") == 1


async def test_what_is_not_there() -> None:
    async with monitored() as here:
        assert (await here.web.get("/private")).status_code == 404
        assert (await here.web.post("/metrics")).status_code == 405
        assert (await here.web.head("/metrics")).content == b""


async def test_an_event_loop_that_does_not_turn_is_not_alive() -> None:
    async with monitored() as here:
        here.server.admin.live_within_s = 0.1
        answered = []

        def ask() -> None:
            answered.append(httpx.get(f"http://127.0.0.1:{here.server.admin.port}/healthz", timeout=PATIENCE_S))

        asking = threading.Thread(target=ask)
        asking.start()
        asking.join(PATIENCE_S)  # on the loop's own thread: it stands still meanwhile
        assert answered[0].status_code == 503
        assert "event loop" in answered[0].json()["error"]


async def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = assemble(Settings(model="bundled", grpc_port=0, metrics_port=taken.getsockname()[1]))
        with pytest.raises(CannotListen, match="NEXTTOKEN_METRICS_PORT"):
            await server.start()
