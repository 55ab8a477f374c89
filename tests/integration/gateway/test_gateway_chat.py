"""RenderChat over HTTP: what the browser asks reaches the engine as meant, and each field is refused in words."""

from typing import Any

import pytest
from gateways import problem

from inference_server import errors, messages
from inference_server.chat_messages import ChatMessage, RenderChatQuery

pytestmark = pytest.mark.asyncio(loop_scope="module")

URL = "/api/chat/render"
HI: dict[str, Any] = {"messages": [{"role": "user", "content": "h"}]}


async def test_the_whole_answer(tiers: Any) -> None:
    answer = await tiers.web.post(URL, json={**HI, "model": "bundled", "add_generation_prompt": True})
    assert answer.status_code == 200
    body = answer.json()
    assert set(body.pop("timings_ms")) == {"queue", "tokenize", "model", "total"}
    h = {"token_id": 104, "text": "h", "bytes": "aA==", "is_special": False, "message": 0, "role": "user"}
    zero = {"token_id": 0, "text": "\0", "bytes": "AA==", "is_special": True, "message": None, "role": ""}
    assert body == {
        "model": "bundled",
        "token_ids": [104, 0],
        "tokens": [{**h, "is_content": True}, {**zero, "is_content": False}],
        "text": "h",
        "context_limit": 64,
    }


async def test_the_engine_is_asked_what_the_browser_asked(tiers: Any) -> None:
    said = [{"role": "system", "content": "é"}, {"role": "assistant", "content": ""}]
    await tiers.web.post(URL, json={"messages": said, "continue_final_message": True, "special": "text"})
    await tiers.web.post(URL, json=HI)
    turns = (ChatMessage("system", "é"), ChatMessage("assistant", ""))
    assert tiers.engine.queries == [
        RenderChatQuery(turns, continue_final_message=True, special="text"),
        RenderChatQuery((ChatMessage("user", "h"),)),
    ]


@pytest.mark.parametrize("special", ["text", "token"])
async def test_every_call_that_takes_text_says_what_special_names_are(tiers: Any, special: str) -> None:
    await tiers.web.post("/api/next-token", json={"text": "a", "special": special})
    await tiers.web.post("/api/score", json={"text": "a", "special": special})
    side = {"text": "a", "special": special}
    await tiers.web.post("/api/compare", json={"a": side, "b": side})
    queries = tiers.engine.queries
    assert [query.special for query in queries] == [special] * 4
    assert queries[0] == messages.TopKQuery(text="a", special=special)


ROWS: list[tuple[dict[str, Any], str, str]] = [
    ({}, "messages", "required"),
    ({"messages": []}, "messages", "an array of 1 to 1,000 objects"),
    ({"messages": [{"role": "user", "content": "a"}] * 1001}, "messages", "an array of 1 to 1,000 objects"),
    ({"messages": "hi"}, "messages", "an array of"),
    (
        {"messages": [{"role": "tool", "content": "a"}]},
        "messages",
        'must be one of "assistant", "system", "user", not "tool"',
    ),
    ({"messages": [{"role": "user"}]}, "messages", "content"),
    ({"messages": [{"role": "user", "content": 5}]}, "messages", "a string"),
    ({"messages": [{"role": "user", "content": "a", "name": "b"}]}, "messages", "name"),
    ({**HI, "add_generation_prompt": 1}, "add_generation_prompt", "true or false"),
    ({**HI, "continue_final_message": "yes"}, "continue_final_message", "true or false"),
    ({**HI, "special": "plain"}, "special", 'one of "text", "token"'),
    ({**HI, "tools": []}, "tools", "unknown field"),
]


@pytest.mark.parametrize(("body", "field", "words"), ROWS)
async def test_a_bad_request_is_refused(tiers: Any, body: dict[str, Any], field: str, words: str) -> None:
    assert words in problem(await tiers.web.post(URL, json=body), 400, "invalid_argument", field)
    assert (await tiers.web.post(URL, json=HI)).status_code == 200


@pytest.mark.parametrize("path", ["/api/next-token", "/api/score", "/api/layers", "/api/generate", "/api/grow"])
async def test_special_is_one_of_two(tiers: Any, path: str) -> None:
    refused = await tiers.web.post(path, json={"text": "a", "special": 1})
    assert 'one of "text", "token"' in problem(refused, 400, "invalid_argument", "special")


async def test_a_template_that_refuses_is_told_in_its_words(tiers: Any) -> None:
    tiers.engine.failure = errors.InvalidField("messages", "this model's chat template refuses them: no system")
    refused = problem(await tiers.web.post(URL, json=HI), 400, "invalid_argument", "messages")
    assert refused == "messages: this model's chat template refuses them: no system"
    tiers.engine.failure = None
