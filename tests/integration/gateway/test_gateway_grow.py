"""Grow and Compare over HTTP: the tree as server-sent events, refusals of every field, clients that leave."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from gateways import problem, until

from inference_server import errors
from inference_server.grow_messages import GrowQuery

pytestmark = pytest.mark.asyncio(loop_scope="module")

HELLO: dict[str, Any] = {"text": "hi", "depth": 2}
Event = tuple[str, Any]


async def parsed(answer: httpx.Response) -> AsyncIterator[Event]:
    name = ""
    async for line in answer.aiter_lines():
        field, _, value = line.partition(": ")
        name = value if field == "event" else name
        if field == "data":
            yield name, json.loads(value)


async def test_a_whole_tree(tiers: Any) -> None:
    async with tiers.web.stream("POST", "/api/grow", json=HELLO) as answer:
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        start, first, mass, second, finish = [event async for event in parsed(answer)]
    assert start == ("start", {"model": "bundled", "token_ids": [104, 105], "context_limit": 64})
    j = {"token_id": 106, "text": "j", "bytes": "ag==", "is_special": False, "rank": 1}
    j |= {"logit": -0.6931471824645996, "probability": 0.5, "logprob": -0.6931471805599453}
    node = {"id": 1, "parent": 0, "token": j, "path_logprob": j["logprob"], "depth": 1, "is_end": False}
    assert first == ("node", node)
    assert mass == ("mass", {"covered": 0.0, "open": 0.5, "pruned": 0.5})
    assert (second[1]["id"], second[1]["parent"], second[1]["is_end"]) == (2, 1, True)
    assert set(finish[1].pop("timings_ms")) == {"queue", "tokenize", "model", "total"}
    end = {"covered": 0.25, "open": 0.0, "pruned": 0.75}
    assert finish == ("finish", {"finish_reason": "complete", "node_count": 2, "mass": end})


async def test_the_engine_is_asked_what_the_browser_asked(tiers: Any) -> None:
    fields = {"depth": 3, "coverage": 0.5, "max_nodes": 7, "width": 4}
    await tiers.web.post("/api/grow", json={"token_ids": [3, 1], "model": "bundled", **fields})
    await tiers.web.post("/api/grow", json={"text": "hi"})
    assert tiers.engine.queries == [GrowQuery(token_ids=(3, 1), **fields), GrowQuery(text="hi")]  # type: ignore[arg-type]


async def test_a_client_that_vanishes_mid_stream_ends_the_growth(tiers: Any) -> None:
    tiers.engine.breaks_after, tiers.engine.gate = 2, asyncio.Event()
    async with tiers.web.stream("POST", "/api/grow", json={**HELLO, "depth": 9}) as answer:
        events = parsed(answer)
        while (await anext(events))[1].get("id") != 2:
            pass
        assert tiers.engine.closed == 0
    await until(lambda: tiers.engine.closed == 1)


async def test_an_error_in_between_is_an_event(tiers: Any) -> None:
    tiers.engine.breaks_after, tiers.engine.breaking = 1, errors.ComputeFailed("it failed; broken off after 1 nodes")
    async with tiers.web.stream("POST", "/api/grow", json={**HELLO, "depth": 9}) as answer:
        *_, (name, data) = [event async for event in parsed(answer)]
    assert (name, data["code"], data["error"]) == ("error", "internal", "it failed; broken off after 1 nodes")


GROW: list[tuple[dict[str, Any], str, str]] = [
    ({"depth": 0}, "depth", "depth: must be an integer from 1 to 100, not 0"),
    ({"depth": 1.5}, "depth", "depth: must be an integer from 1 to 100, not 1.5"),
    ({"depth": "3"}, "depth", 'depth: must be an integer from 1 to 100, not "3"'),
    ({"max_nodes": 2001}, "max_nodes", "max_nodes: must be an integer from 1 to 2,000, not 2001"),
    ({"max_nodes": None}, "max_nodes", "max_nodes: must be an integer from 1 to 2,000, not null"),
    ({"width": 33}, "width", "width: must be an integer from 1 to 32, not 33"),
    ({"width": True}, "width", "width: must be an integer from 1 to 32, not true"),
    ({"coverage": 0}, "coverage", "coverage: must be a number above 0 and at most 1, not 0"),
    ({"coverage": [1]}, "coverage", "coverage: must be a number above 0 and at most 1, not an array of 1"),
    (
        {"temperature": 1},
        "temperature",
        "temperature: unknown field; known fields are text, token_ids, model, special, depth",
    ),
    ({"token_ids": [1]}, "text", "exactly one of text and token_ids must be given"),
]


@pytest.mark.parametrize(("fields", "field", "words"), GROW)
async def test_grow_refuses(tiers: Any, fields: dict[str, Any], field: str, words: str) -> None:
    answer = await tiers.web.post("/api/grow", json={"text": "hi", **fields})
    assert words in problem(answer, 400, "invalid_argument", field)
    assert tiers.engine.queries == []


FINE: dict[str, Any] = {"text": "hi"}
COMPARE: list[tuple[dict[str, Any], str, str]] = [
    ({}, "a", "a: required"),
    ({"a": FINE}, "b", "b: required"),
    ({"a": FINE, "b": 5}, "b", "b: must be an object, not 5"),
    ({"a": FINE, "b": {"text": 5}}, "b", "b.text: must be a string, not 5"),
    (
        {"a": {"token_ids": [1, -1]}, "b": FINE},
        "a",
        "a.token_ids[1]: must be an integer from 0 to 2,147,483,647, not -1",
    ),
    ({"a": FINE, "b": {**FINE, "temperature": 101}}, "b", "b.temperature: must be a number from 0 to 100, not 101"),
    ({"a": FINE, "b": {**FINE, "top_p": 0}}, "b", "b.top_p: must be a number above 0 and at most 1, not 0"),
    ({"a": FINE, "b": {**FINE, "min_p": 2}}, "b", "b.min_p: must be a number from 0 to 1, not 2"),
    ({"a": FINE, "b": {**FINE, "top_k": 2}}, "b", "b.top_k: unknown field; known fields are text, token_ids, model"),
    ({"a": FINE, "b": {}}, "b", "exactly one of text and token_ids must be given"),
    ({"a": FINE, "b": FINE, "top_k": 101}, "top_k", "top_k: must be an integer from 1 to 100, not 101"),
    ({"a": FINE, "b": FINE, "c": FINE}, "c", "c: unknown field; known fields are a, b, top_k, include_prompt_tokens"),
]


@pytest.mark.parametrize(("body", "field", "words"), COMPARE)
async def test_compare_refuses(tiers: Any, body: dict[str, Any], field: str, words: str) -> None:
    answer = await tiers.web.post("/api/compare", json=body)
    found = answer.json()
    assert words in problem(answer, 400, "invalid_argument", found.get("field"))
    assert found["field"] == field
    assert tiers.engine.queries == []


async def test_a_model_of_one_side_that_is_not_listed(tiers: Any) -> None:
    answer = await tiers.web.post("/api/compare", json={"a": FINE, "b": {**FINE, "model": "someone/else"}})
    assert problem(answer, 404, "not_found").startswith("b: unknown model 'someone/else'")
