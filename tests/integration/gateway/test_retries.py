"""What the gateway tries again, and what it passes on at once."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from gateways import gateway_here, problem, scripted_server
from google.rpc import status_pb2
from grpc_status import rpc_status
from nexttoken.v1 import next_token_pb2 as pb
from servers import PATIENCE_S

from web_gateway.inference import client
from web_gateway.inference.call import Call
from web_gateway.settings import Settings

HELLO = {"text": "hi"}
WORDS = "not now, but later"


class Failing:
    """Refuses so many calls, then answers; counts them."""

    def __init__(self, code: grpc.StatusCode, refusals: int, trailers: tuple[tuple[str, str], ...] = ()) -> None:
        self.code, self.refusals, self.trailers = code, refusals, trailers
        self.calls = 0

    async def __call__(self, request: Any, context: Any) -> Any:
        self.calls += 1
        if self.calls <= self.refusals:
            rich = rpc_status.to_status(status_pb2.Status(code=self.code.value[0], message=WORDS))
            await context.abort(self.code, WORDS, (*self.trailers, *rich.trailing_metadata))
        return pb.TopKResponse(prompt=pb.Prompt(), kept=pb.Kept(), timings=pb.Timings())


async def ask(script: Failing) -> Any:
    async with scripted_server() as server, gateway_here(server.target) as gateway:
        server.service.script = script
        return await gateway.web.post("/api/next-token", json=HELLO)


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED])
@pytest.mark.parametrize("refusals", [1, 2])
async def test_a_server_that_goes_is_asked_again(code: grpc.StatusCode, refusals: int) -> None:
    script = Failing(code, refusals)
    assert (await ask(script)).status_code == 200
    assert script.calls == refusals + 1


async def test_three_times_is_enough() -> None:
    script = Failing(grpc.StatusCode.UNAVAILABLE, 100)
    assert WORDS in problem(await ask(script), 503, "unavailable")
    assert script.calls == 3


async def test_a_server_may_say_not_to_try_again() -> None:
    script = Failing(grpc.StatusCode.UNAVAILABLE, 100, (("grpc-retry-pushback-ms", "-1"),))
    problem(await ask(script), 503, "unavailable")
    assert script.calls == 1


async def test_overload_is_told_at_once_with_the_servers_word_on_when() -> None:
    script = Failing(grpc.StatusCode.RESOURCE_EXHAUSTED, 100, (("grpc-retry-pushback-ms", "7000"),))
    answer = await ask(script)
    problem(answer, 429, "overloaded")
    assert answer.headers["retry-after"] == "7"
    assert script.calls == 1


@pytest.mark.parametrize("code", [grpc.StatusCode.INTERNAL, grpc.StatusCode.INVALID_ARGUMENT])
async def test_what_would_fail_again_is_not_tried_again(code: grpc.StatusCode) -> None:
    script = Failing(code, 100)
    assert (await ask(script)).status_code in (400, 500)
    assert script.calls == 1


async def test_failures_all_around_use_up_the_budget() -> None:
    """A failing server must not get three times the calls."""
    script = Failing(grpc.StatusCode.UNAVAILABLE, 10**6)
    async with scripted_server() as server, gateway_here(server.target) as gateway:
        server.service.script = script
        for _ in range(5):
            await asyncio.gather(*(gateway.web.post("/api/next-token", json=HELLO) for _ in range(20)))
        before = script.calls
        for _ in range(10):
            await gateway.web.post("/api/next-token", json=HELLO)
    assert script.calls - before == 10


@pytest.mark.parametrize("words", ["", WORDS])
async def test_a_watch_that_breaks_off_early_is_taken_up_after_a_pause(
    monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    paused, over = asyncio.Event(), asyncio.Event()
    watches = 0

    async def script(request: Any, context: Any) -> AsyncIterator[pb.WatchModelsResponse]:
        nonlocal watches
        watches += 1
        yield pb.WatchModelsResponse()
        if words:
            await context.abort(grpc.StatusCode.UNAVAILABLE, words)

    async def pause(_: float) -> None:
        paused.set()
        await over.wait()

    monkeypatch.setattr(client, "time", SimpleNamespace(monotonic=lambda: 0.0))  # no time passes
    monkeypatch.setattr(client, "asyncio", SimpleNamespace(sleep=pause))
    async with scripted_server() as server, client.connect(Settings(inference_target=server.target)) as inference:
        server.service.watch = script
        watch: Any = inference.watch(Call.without_deadline())
        await anext(watch)
        async with asyncio.timeout(PATIENCE_S):
            again = asyncio.ensure_future(anext(watch))
            pausing = asyncio.create_task(paused.wait())
            await asyncio.wait((again, pausing), return_when=asyncio.FIRST_COMPLETED)
            assert (watches, again.done()) == (1, False)
            over.set()
            await again
            assert watches == 2
        await watch.aclose()
