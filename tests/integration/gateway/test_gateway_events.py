"""The models' changes as server-sent events: what pages hear, how they end, and that all share one watch."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import fakes
import httpx
import pytest
from gateways import NOWHERE, gateway_here, gateway_process, problem, until
from ports import free_port
from servers import PATIENCE_S, server_here

from inference_server import settings as inference
from web_gateway.api import feed

Event = tuple[str, Any]


@contextlib.asynccontextmanager
async def listening(web: httpx.AsyncClient) -> AsyncIterator[AsyncIterator[Event]]:
    """A page that listens; yields (event, data) and ("comment", words)."""
    async with web.stream("GET", "/api/models/events") as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-accel-buffering"] == "no"
        assert "content-encoding" not in answer.headers
        yield parsed(answer)


async def parsed(answer: httpx.Response) -> AsyncIterator[Event]:
    name = ""
    async for line in answer.aiter_lines():
        field, _, value = line.partition(": ")
        match field:
            case "event":
                name = value
            case "data":
                yield name, json.loads(value)
            case "retry":
                yield "retry", int(value)
            case "":
                if value:
                    yield "comment", value


async def following(events: AsyncIterator[Event]) -> Event:
    async with asyncio.timeout(PATIENCE_S):
        return await anext(events)


@contextlib.asynccontextmanager
async def inference_at(port: int = 0, **settings: Any) -> AsyncIterator[Any]:
    chosen = inference.Settings(**{"model": "bundled", "grpc_port": port, "drain_s": 0, "grace_s": 0, **settings})
    async with server_here(chosen, fakes.fetch, lambda name, folder: fakes.FakeEngine()) as server:
        yield server


async def test_the_models_now_and_at_every_change() -> None:
    gate = asyncio.Event()
    loop = asyncio.get_running_loop()

    def load(name: str, folder: object) -> fakes.FakeEngine:
        asyncio.run_coroutine_threadsafe(gate.wait(), loop).result(PATIENCE_S)
        return fakes.FakeEngine()

    chosen = inference.Settings(model="bundled", grpc_port=0, drain_s=0, grace_s=0)
    async with (
        server_here(chosen, fakes.fetch, load) as server,
        gateway_here(f"127.0.0.1:{server.port}") as gateway,
        listening(gateway.web) as events,
    ):
        assert await following(events) == ("retry", 2000)
        name, models = await following(events)
        assert name == "models"
        assert models["models"][0]["state"] in ("queued", "loading")
        asked = await gateway.web.post("/api/next-token", json={"text": "hi"})
        assert "bundled" in problem(asked, 503, "unavailable")
        problem(await gateway.web.get("/readyz"), 503, "unavailable")
        gate.set()
        while models["models"][0]["state"] != "ready":
            name, models = await following(events)
            assert name == "models"
        assert models == (await gateway.web.get("/api/models")).json()


async def test_pages_share_one_watch_that_ends_with_the_last() -> None:
    async with inference_at() as server, gateway_here(f"127.0.0.1:{server.port}") as gateway:
        heard = gateway.app.state.feed
        async with listening(gateway.web) as first:
            await following(first)
            await following(first)
            watch = heard._watching
            async with listening(gateway.web) as second:
                await following(second)
                assert (await following(second))[0] == "models"
                assert heard.listeners == 2
                assert heard._watching is watch
            await until(lambda: heard.listeners == 1)
            assert not watch.done()
        await until(lambda: heard.listeners == 0 and watch.done())
        async with listening(gateway.web) as again:
            await following(again)
            assert (await following(again))[0] == "models"


async def test_a_quiet_stream_is_kept_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "HEARTBEAT_S", 0.05)
    async with (
        inference_at() as server,
        gateway_here(f"127.0.0.1:{server.port}") as gateway,
        listening(gateway.web) as events,
    ):
        while (await following(events))[0] != "models":
            pass
        assert (await following(events)) == ("comment", "heartbeat")


async def test_a_server_that_is_not_there_comes_and_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "RETRY_S", 0.05)
    port = free_port()
    async with gateway_here(f"127.0.0.1:{port}") as gateway, listening(gateway.web) as events:
        await following(events)
        for _ in range(2):
            name, told = await following(events)
            assert (name, told["code"]) == ("unreachable", "unavailable")
            async with inference_at(port):
                while name != "models" or told["models"][0]["state"] != "ready":
                    name, told = await following(events)


async def test_a_stop_ends_the_stream() -> None:
    async with gateway_here(NOWHERE) as gateway, listening(gateway.web) as events:
        await following(events)
        gateway.server.should_exit = True
        async with asyncio.timeout(PATIENCE_S):
            async for _ in events:
                pass
            await gateway.serving


def test_a_stop_is_not_held_by_pages_that_listen(bundled: str) -> None:
    with gateway_process({"NEXTTOKEN_INFERENCE_TARGET": bundled}) as gateway:
        with httpx.stream("GET", f"{gateway.url}/api/models/events", timeout=PATIENCE_S) as answer:
            lines = answer.iter_lines()
            while not next(lines).startswith("event: models"):
                pass
            assert gateway.stop() == 0
            for _ in lines:
                pass
        assert "Cancel" not in gateway.log()
        assert "Traceback" not in gateway.log()
