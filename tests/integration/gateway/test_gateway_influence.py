"""Influence over HTTP: events of the contract's shape, bad fields by name, clients that leave."""

import asyncio
import json
from typing import Any

import pytest
from gateways import problem, until

from inference_server import errors
from inference_server.influence_messages import InfluenceQuery

pytestmark = pytest.mark.asyncio(loop_scope="module")

ASKED = {"text": "abc", "target": 5}


async def everything(web: Any, **fields: Any) -> list[tuple[str, Any]]:
    answer = await web.post("/api/influence", json={**ASKED, **fields})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    blocks = [block.splitlines() for block in answer.text.strip().split("\n\n")]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in blocks]


async def test_a_whole_stream(tiers: Any) -> None:
    (name, start), *changes, (last, done) = await everything(tiers.web, contrast=6)
    assert (name, last) == ("start", "done")
    assert set(start) == {"model", "token_count", "units", "log_odds", "target", "contrast", "planned_tokens"}
    assert (start["model"], start["token_count"], start["log_odds"]) == ("bundled", 3, -0.5)
    unit = {"start": 0, "end": 1, "kind": "token", "text": "a", "is_special": False, "has_first_token": True}
    assert start["units"][0] == unit
    assert (start["target"]["token_id"], start["target"]["rank"], start["contrast"]["token_id"]) == (5, 1, 6)
    assert changes == [("change", {"unit": at, "method": "hide", "log_odds_change": -float(at)}) for at in range(3)]
    assert set(done.pop("timings_ms")) == {"queue", "tokenize", "model", "total"}
    end = {"measured": 3, "complete": True, "rank_correlation": 0.25, "methods_disagree": True, "computed_tokens": 7}
    assert done == end


async def test_what_is_not_there_is_null(tiers: Any) -> None:
    (_, start), *changes, (_, done) = await everything(tiers.web, text="a")
    assert (start["contrast"], done["rank_correlation"]) == (None, None)
    changes = await everything(tiers.web, text="a" * 10)
    assert changes[-2][1]["log_odds_change"] is None


async def test_the_engine_is_asked_what_the_browser_asked(tiers: Any) -> None:
    fields: dict[str, Any] = {"contrast": 0, "unit": "token", "method": "take_out", "replace_with": 3, "budget": 9}
    await everything(tiers.web, **fields)
    await tiers.web.post("/api/influence", json={"token_ids": [3], "target": 0})
    assert tiers.engine.queries == [
        InfluenceQuery(text="abc", target=5, **fields),
        InfluenceQuery(token_ids=(3,), target=0),
    ]


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"target": None}, "target", "target: must be an integer from 0 to 2,147,483,647, not null"),
        ({"target": -1}, "target", "target: must be an integer from 0"),
        ({"contrast": 1.5}, "contrast", "contrast: must be an integer from 0"),
        ({"unit": "letter"}, "unit", 'unit: must be one of "sentence", "token", "word", not "letter"'),
        ({"unit": 3}, "unit", 'unit: must be one of "sentence", "token", "word", not 3'),
        ({"method": "guess"}, "method", 'method: must be one of "gradient", "hide", "take_out", not "guess"'),
        ({"replace_with": "a"}, "replace_with", "replace_with: must be an integer from 0"),
        ({"budget": 0}, "budget", "budget: must be an integer from 1 to 2,147,483,647, not 0"),
        (
            {"colour": 1},
            "colour",
            "colour: unknown field; known fields are text, token_ids, model, special, target, contrast",
        ),
        ({"token_ids": [1]}, None, "exactly one of text and token_ids"),
    ],
)
async def test_bad_fields_are_refused_by_name(tiers: Any, fields: Any, field: str | None, words: str) -> None:
    answer = await tiers.web.post("/api/influence", json={**ASKED, **fields})
    body = answer.json()
    assert (answer.status_code, body["code"]) == (400, "invalid_argument")
    assert field is None or body["field"] == field
    assert words in body["error"]


async def test_a_target_is_required(tiers: Any) -> None:
    answer = await tiers.web.post("/api/influence", json={"text": "a"})
    assert problem(answer, 400, "invalid_argument", "target") == "target: required"


async def test_a_refusal_of_the_model_names_the_method(tiers: Any) -> None:
    tiers.engine.failure = errors.InvalidField("method", "hide needs a cache")
    answer = await tiers.web.post("/api/influence", json=ASKED)
    assert "hide needs a cache" in problem(answer, 400, "invalid_argument", "method")


async def test_a_client_that_leaves_cancels_the_call(tiers: Any) -> None:
    tiers.engine.breaks_after, tiers.engine.gate = 1, asyncio.Event()
    async with tiers.web.stream("POST", "/api/influence", json=ASKED) as answer:
        lines = answer.aiter_lines()
        assert await anext(lines) == "event: start"
        assert tiers.engine.closed == 0
    await until(lambda: tiers.engine.closed == 1)
