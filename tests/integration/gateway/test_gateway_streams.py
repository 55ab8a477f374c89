"""Streamed answers over HTTP: server-sent events, errors before and after the first one, clients that leave."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from gateways import gateway_here, problem, sample, scripted_server, until
from nexttoken.v1 import next_token_pb2 as pb
from servers import PATIENCE_S

from inference_server import errors
from inference_server.generate_messages import GeneratedSoFar, GenerateQuery
from web_gateway.api import streams

pytestmark = pytest.mark.asyncio(loop_scope="module")

HELLO = {"text": "hi", "max_tokens": 2, "top_k": 1}
Event = tuple[str, Any]


@contextlib.asynccontextmanager
async def streamed(web: httpx.AsyncClient, **fields: Any) -> AsyncIterator[AsyncIterator[Event]]:
    """The events of a stream as (name, data); a comment's name is empty."""
    async with web.stream("POST", "/api/generate", json={**HELLO, **fields}) as answer:
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-accel-buffering"] == "no"
        assert "content-encoding" not in answer.headers
        yield parsed(answer)


async def parsed(answer: httpx.Response) -> AsyncIterator[Event]:
    name = ""
    async for line in answer.aiter_lines():
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, json.loads(value)
        elif not field and value:
            yield "", value


async def everything(web: httpx.AsyncClient, **fields: Any) -> list[Event]:
    async with streamed(web, **fields) as events:
        return [event async for event in events]


async def test_a_whole_stream(tiers: Any) -> None:
    start, first, second, finish = await everything(tiers.web)
    assert start == ("start", {"model": "bundled", "token_ids": [104, 105], "seed": 7, "context_limit": 64})
    j = {"token_id": 106, "text": "j", "bytes": "ag==", "is_special": False, "rank": 1}
    j |= {"logit": -0.6931471824645996, "probability": 0.5, "logprob": -0.6931471805599453}
    rest = {"kept": {"count": 3, "probability": 0.75}, "other_probability": 0.25, "partition": [], "log_sum_exp": 0.5}
    assert first == ("token", {"index": 0, "token": j, "candidates": [j], "entropy_bits": 2.0, **rest})
    assert (second[0], second[1]["token"]["text"]) == ("token", "k")
    assert set(finish[1].pop("timings_ms")) == {"queue", "tokenize", "model", "total"}
    end = {"index": 0, "finish_reason": "length", "stop_token_id": None, "stop_text": None}
    assert finish == ("finish", {**end, "text": "jk", "token_count": 2})


async def test_the_engine_is_asked_what_the_browser_asked(tiers: Any) -> None:
    fields: dict[str, Any] = {"model": "bundled", "max_tokens": 5, "temperature": 0, "top_p": 0.5, "min_p": 0.25}
    fields |= {"seed": 3, "n": 2, "stop": ["x", "é"], "stop_token_ids": [], "top_k": 0}
    await everything(tiers.web, **fields, resume=[{"index": 1, "token_ids": [1, 2]}])
    del fields["model"]
    fields |= {"stop": ("x", "é"), "stop_token_ids": ()}
    assert tiers.engine.queries == [GenerateQuery(text="hi", **fields, resume=(GeneratedSoFar(1, (1, 2)),))]
    tiers.engine.queries.clear()
    await tiers.web.post("/api/generate", json={"token_ids": [3]})
    assert tiers.engine.queries == [GenerateQuery(token_ids=(3,))]


@pytest.mark.parametrize(
    ("failure", "status", "code", "field"),
    [
        (errors.InvalidField("seed", "9 is too much"), 400, "invalid_argument", "seed"),
        (errors.Overloaded("64 streams are open", 2.1), 429, "overloaded", None),
        (errors.ModelNotReady("m is downloading"), 503, "unavailable", None),
        (errors.ComputeFailed("the model gave no numbers"), 500, "internal", None),
    ],
)
async def test_an_error_before_the_first_event_is_an_ordinary_one(
    tiers: Any, failure: Exception, status: int, code: str, field: str | None
) -> None:
    tiers.engine.failure = failure
    answer = await tiers.web.post("/api/generate", json=HELLO)
    assert str(failure) in problem(answer, status, code, field)
    assert answer.headers.get("retry-after") == ("3" if status == 429 else None)


@pytest.mark.parametrize(
    ("breaking", "code", "words"),
    [
        (errors.ComputeFailed("the model failed; broken off"), "internal", "the model failed; broken off"),
        (errors.DeadlineExpired("too late"), "deadline_exceeded", "too late"),
        (ZeroDivisionError("secret"), "internal", "its log has the details"),
    ],
)
async def test_a_later_error_is_an_event_of_the_same_shape(
    tiers: Any, breaking: BaseException, code: str, words: str
) -> None:
    tiers.engine.breaks_after, tiers.engine.breaking = 1, breaking
    *before, (name, told) = await everything(tiers.web)
    assert [event for event, _ in before] == ["start", "token"]
    assert (name, told["code"], set(told)) == ("error", code, {"error", "code"})
    assert words in told["error"]
    assert "secret" not in told["error"]
    await until(lambda: tiers.engine.closed == 1)


async def test_no_first_event_in_time_is_a_timeout(tiers: Any) -> None:
    tiers.engine.gate = asyncio.Event()
    async with gateway_here(f"127.0.0.1:{tiers.inference.port}", timeout_s=0.3) as gateway:
        problem(await gateway.web.post("/api/generate", json=HELLO), 504, "deadline_exceeded")
    await until(lambda: tiers.engine.closed == 1)


async def test_a_stream_may_take_longer_than_other_requests(tiers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what is quiet meanwhile is kept open."""
    monkeypatch.setattr(streams, "HEARTBEAT_S", 0.1)
    tiers.engine.breaks_after, tiers.engine.gate = 1, asyncio.Event()
    async with (
        gateway_here(f"127.0.0.1:{tiers.inference.port}", timeout_s=0.3) as gateway,
        streamed(gateway.web) as events,
    ):
        assert [(await anext(events))[0] for _ in range(7)] == ["start", "token"] + 5 * [""]
        tiers.engine.gate.set()
        assert [name async for name, _ in events if name] == ["token", "finish"]


async def test_a_stream_is_cut_off_at_its_limit(tiers: Any) -> None:
    tiers.engine.breaks_after, tiers.engine.gate = 1, asyncio.Event()
    async with gateway_here(f"127.0.0.1:{tiers.inference.port}", stream_s=0.5) as gateway:
        *_, (name, told) = await everything(gateway.web)
        assert (name, told["code"]) == ("error", "deadline_exceeded")


async def test_a_client_that_leaves_cancels_the_call(tiers: Any) -> None:
    tiers.engine.breaks_after, tiers.engine.gate = 1, asyncio.Event()
    async with streamed(tiers.web) as events:
        await anext(events)
        assert tiers.engine.closed == 0
    await until(lambda: tiers.engine.closed == 1)
    metrics = (await tiers.web.get("/metrics")).text
    assert sample(metrics, "nexttoken_gateway_streams") == 0
    assert sample(metrics, "nexttoken_gateway_stream_ends_total", route="/api/generate", end="left") == 1


async def test_a_client_may_open_so_many_streams(tiers: Any) -> None:
    tiers.engine.breaks_after, tiers.engine.gate = 1, asyncio.Event()
    async with gateway_here(f"127.0.0.1:{tiers.inference.port}", client_streams=2) as gateway:
        async with contextlib.AsyncExitStack() as stack:
            open_ = [await stack.enter_async_context(streamed(gateway.web)) for _ in range(2)]
            assert [(await anext(events))[0] for events in open_] == ["start", "start"]
            refused = await gateway.web.post("/api/generate", json=HELLO)
            assert "streamed" in problem(refused, 429, "overloaded")
            assert refused.headers["retry-after"] == "1"
            assert (await gateway.web.post("/api/next-token", json={"text": "a"})).status_code == 200
        await until(lambda: tiers.engine.closed == 2)
        tiers.engine.gate.set()
        assert (await everything(gateway.web))[-1][0] == "finish"


async def test_whoever_reads_slowly_slows_the_call_down() -> None:
    """What is sent ahead of the reader is what the connections hold, not the whole answer."""
    sent = 0

    async def endless(request: Any, context: Any) -> AsyncIterator[Any]:
        nonlocal sent
        yield pb.GenerateResponse(start=pb.GenerateStart(model="bundled", token_ids=[1] * 1000))
        while True:
            sent += 1
            yield pb.GenerateResponse(token=pb.GeneratedToken(candidates=[pb.Candidate(rank=1)] * 100))

    async with scripted_server() as server, gateway_here(server.target) as gateway:
        server.service.watch = endless
        async with streamed(gateway.web) as events:
            await anext(events)
            before = 0
            async with asyncio.timeout(PATIENCE_S):
                while not before == sent > 0:
                    before = sent
                    await asyncio.sleep(0.5)


BAD = [
    ({"max_tokens": 0}, "max_tokens", "max_tokens: must be an integer from 1 to 1,000,000, not 0"),
    ({"seed": -1}, "seed", "seed: must be an integer from 0 to 9,007,199,254,740,991, not -1"),
    ({"n": 17}, "n", "n: must be an integer from 1 to 16, not 17"),
    ({"top_k": 1001}, "top_k", "top_k: must be an integer from 0 to 1,000, not 1001"),
    ({"temperature": -1}, "temperature", "temperature: must be a number from 0 to 100, not -1"),
    ({"top_p": 0}, "top_p", "top_p: must be a number above 0"),
    ({"min_p": 2}, "min_p", "min_p: must be a number from 0 to 1, not 2"),
    ({"stop": "x"}, "stop", "stop: must be an array of at most 16 non-empty strings, not"),
    ({"stop": [""]}, "stop", 'stop[0]: must be a non-empty string, not ""'),
    ({"stop": ["x"] * 17}, "stop", "stop: must be an array of at most 16"),
    ({"stop_token_ids": [-1]}, "stop_token_ids", "stop_token_ids[0]: must be an integer from 0"),
    ({"stop_token_ids": [1] * 65}, "stop_token_ids", "at most 64 integers"),
    ({"resume": 1}, "resume", "resume: must be an array of at most 16 objects, not 1"),
    ({"resume": [3]}, "resume", "resume[0]: must be an object, not 3"),
    ({"resume": [{"index": 0}]}, "resume", "resume[0].token_ids: required"),
    ({"resume": [{"index": "0", "token_ids": []}]}, "resume", "resume[0].index: must be an integer from 0 to 15, not"),
    ({"resume": [{"index": 0, "token_ids": [1, -2]}]}, "resume", "resume[0].token_ids[1]: must be an integer from"),
    (
        {"resume": [{"index": 0, "token_ids": [], "id": 1}]},
        "resume",
        "resume[0].id: unknown field; known fields are index",
    ),
    (
        {"max_token": 3},
        "max_token",
        "max_token: unknown field; known fields are text, token_ids, model, special, max_tokens,",
    ),
]


@pytest.mark.parametrize(("fields", "field", "words"), BAD, ids=lambda value: repr(value)[:40])
async def test_bad_input_is_refused(tiers: Any, fields: dict[str, Any], field: str, words: str) -> None:
    answer = await tiers.web.post("/api/generate", json={"text": "hi", **fields})
    assert words in problem(answer, 400, "invalid_argument", field)
    assert tiers.engine.queries == []
