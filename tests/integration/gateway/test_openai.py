"""The OpenAI-compatible API before an engine that counts: whole answers, streams, prompts, what reaches the engine."""

import asyncio
from typing import Any

import pytest
from gateways import gateway_here, sample, until
from openai_shapes import data_of, openai_problem

from inference_server import chat_messages, errors, messages, tokenize_messages
from inference_server.generate_messages import GenerateQuery
from web_gateway.api.openai import answering

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXT, CHAT = "/v1/completions", "/v1/chat/completions"
HALF = -0.6931471824645996 - 0.5  # the logit is ln 0.5 in float32, and the log of the sum over all 0.5
HI = {"prompt": "hi", "max_tokens": 2}
TURN = {"role": "user", "content": "h"}


async def test_a_whole_completion(tiers: Any) -> None:
    answer = await tiers.web.post(TEXT, json={**HI, "logprobs": 1}, headers={"x-request-id": "me"})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert body.pop("created") > 1.6e9
    assert body == {
        "id": "cmpl-me",
        "object": "text_completion",
        "model": "bundled",
        "choices": [
            {
                "index": 0,
                "text": "jk",
                "logprobs": {
                    "tokens": ["j", "k"],
                    "token_logprobs": [HALF, HALF],
                    "top_logprobs": [{"j": HALF}, {"k": HALF}],
                    "text_offset": [0, 1],
                },
                "finish_reason": "length",
            }
        ],
        "usage": {"prompt_tokens": 2, "completion_tokens": 2, "total_tokens": 4},
    }


async def test_a_streamed_completion(tiers: Any) -> None:
    fields = {**HI, "stream": True, "stream_options": {"include_usage": True}}
    answer = await tiers.web.post(TEXT, json=fields, headers={"x-request-id": "me"})
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["x-accel-buffering"] == "no"
    *chunks, last, done = data_of(answer.text)
    assert done == "[DONE]"
    choices = [(c["choices"][0]["text"], c["choices"][0]["finish_reason"], c["usage"], c["id"]) for c in chunks]
    assert choices == [("j", None, None, "cmpl-me"), ("k", None, None, "cmpl-me"), ("", "length", None, "cmpl-me")]
    assert (last["choices"], last["usage"]) == (
        [],
        {"prompt_tokens": 2, "completion_tokens": 2, "total_tokens": 4},
    )
    plain = data_of((await tiers.web.post(TEXT, json={**HI, "stream": True})).text)
    assert not [chunk for chunk in plain[:-1] if "usage" in chunk]
    assert len(plain) == 4


async def test_several_prompts_each_several_times(tiers: Any) -> None:
    for stream in (False, True):
        answer = await tiers.web.post(TEXT, json={"prompt": [[1], [3]], "n": 2, "max_tokens": 1, "stream": stream})
        parts = data_of(answer.text)[:-1] if stream else [answer.json()]
        texts = dict.fromkeys(range(4), "")
        for choice in (choice for part in parts for choice in part["choices"]):
            texts[choice["index"]] += choice["text"]
        assert texts == {0: "\x02", 1: "\x02", 2: "\x04", 3: "\x04"}
    assert {query.token_ids for query in tiers.engine.queries} == {(1,), (3,)}


async def test_the_engine_is_asked_what_the_client_asked(tiers: Any) -> None:
    fields = {"temperature": 0.5, "top_p": 0.9, "min_p": 0.1, "seed": 3, "n": 2, "stop": ["x"], "stop_token_ids": [9]}
    await tiers.web.post(TEXT, json={"prompt": [7], "max_tokens": 1, "logprobs": 2, "model": "bundled", **fields})
    await tiers.web.post(TEXT, json={"prompt": "a", "seed": None, "stop": None, "logit_bias": {}})
    await tiers.web.post(TEXT, json={"prompt": "a", "max_tokens": 1, "add_special_tokens": False})
    asked = {**fields, "stop": ("x",), "stop_token_ids": (9,)}
    assert tiers.engine.queries == [
        GenerateQuery(token_ids=(7,), max_tokens=1, top_k=2, **asked),  # type: ignore[arg-type]
        GenerateQuery(text="a", max_tokens=16),
        tokenize_messages.TokenizeQuery(text="a", bare=True),
        GenerateQuery(token_ids=(97,), max_tokens=1),
    ]


async def test_an_echo_is_scored(tiers: Any) -> None:
    """With max_tokens 0 nothing else is computed."""
    body = (await tiers.web.post(TEXT, json={"prompt": "ab", "max_tokens": 0, "echo": True, "logprobs": 1})).json()
    assert tiers.engine.queries == [messages.ScoreQuery(text="ab", top_k=1)]
    (choice,) = body["choices"]
    half = pytest.approx(-0.6931471805599453)
    assert (choice["text"], choice["finish_reason"], choice["logprobs"]["tokens"]) == ("ab", "length", ["a", "b"])
    assert choice["logprobs"]["token_logprobs"] == [None, half]
    assert choice["logprobs"]["top_logprobs"] == [None, {"\0": half, "b": half}]
    assert body["usage"] == {"prompt_tokens": 2, "completion_tokens": 0, "total_tokens": 2}
    more = (await tiers.web.post(TEXT, json={"prompt": [97, 98], "max_tokens": 1, "echo": True, "logprobs": 1})).json()
    told = more["choices"][0]
    assert (told["text"], told["logprobs"]["tokens"], told["logprobs"]["text_offset"]) == (
        "abc",
        ["a", "b", "c"],
        [0, 1, 2],
    )
    assert more["usage"]["completion_tokens"] == 1


@pytest.mark.parametrize(("prompt", "text"), [("é", "éª"), ([195, 169], "éª"), ([0, 97], "\0ab")])
async def test_an_echo_without_numbers_takes_no_score(tiers: Any, prompt: Any, text: str) -> None:
    for stream in (False, True):
        answer = await tiers.web.post(TEXT, json={"prompt": prompt, "max_tokens": 1, "echo": True, "stream": stream})
        parts = data_of(answer.text)[:-1] if stream else [answer.json()]
        told = "".join(choice["text"] for part in parts for choice in part["choices"])
        assert told == text.replace("ª", "\ufffd")
    assert not [query for query in tiers.engine.queries if isinstance(query, messages.ScoreQuery)]


async def test_nothing_to_do_is_nothing_done(tiers: Any) -> None:
    body = (await tiers.web.post(TEXT, json={"prompt": "ab", "max_tokens": 0})).json()
    assert (body["choices"][0]["text"], body["usage"]["prompt_tokens"]) == ("", 3)
    assert tiers.engine.queries == [tokenize_messages.TokenizeQuery(text="ab")]


async def test_prompt_logprobs_as_vllm_has_them(tiers: Any) -> None:
    body = (await tiers.web.post(TEXT, json={"prompt": "ab", "max_tokens": 1, "prompt_logprobs": 0})).json()
    (choice,) = body["choices"]
    first, second = choice["prompt_logprobs"]
    assert first is None
    assert second == {"98": {"logprob": pytest.approx(-0.6931472), "rank": 1, "decoded_token": "b"}}
    assert (choice["text"], choice["logprobs"]) == ("c", None)


async def test_tokens_by_id(tiers: Any) -> None:
    fields = {**HI, "max_tokens": 1, "logprobs": 1, "return_tokens_as_token_ids": True}
    logprobs = (await tiers.web.post(TEXT, json=fields)).json()["choices"][0]["logprobs"]
    assert (logprobs["tokens"], logprobs["top_logprobs"]) == (["token_id:106"], [{"token_id:106": HALF}])


async def test_a_whole_chat(tiers: Any) -> None:
    fields = {"messages": [{**TURN, "role": "developer"}, TURN], "max_tokens": 2, "logprobs": True, "top_logprobs": 1}
    answer = await tiers.web.post(CHAT, json=fields, headers={"x-request-id": "me"})
    body = answer.json()
    assert body.pop("created") > 1.6e9
    one, two = ({"token": token, "logprob": HALF, "bytes": [ord(token)]} for token in ("\x01", "\x02"))
    assert body == {
        "id": "chatcmpl-me",
        "object": "chat.completion",
        "model": "bundled",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "\x01\x02", "refusal": None},
                "logprobs": {
                    "content": [{**one, "top_logprobs": [one]}, {**two, "top_logprobs": [two]}],
                    "refusal": None,
                },
                "finish_reason": "length",
            }
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }
    rendered, generated = tiers.engine.queries
    turns = (chat_messages.ChatMessage("system", "h"), chat_messages.ChatMessage("user", "h"))
    assert rendered == chat_messages.RenderChatQuery(turns, add_generation_prompt=True)
    assert generated == GenerateQuery(token_ids=(104, 104, 0), max_tokens=2, top_k=1)


async def test_a_streamed_chat(tiers: Any) -> None:
    fields = {"messages": [TURN], "max_tokens": 1, "stream": True, "n": 2}
    *chunks, done = data_of((await tiers.web.post(CHAT, json=fields)).text)
    assert done == "[DONE]"
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    told = [(c["choices"][0]["index"], c["choices"][0]["delta"], c["choices"][0]["finish_reason"]) for c in chunks]
    for index in (0, 1):
        assert [each[1:] for each in told if each[0] == index] == [
            ({"role": "assistant", "content": ""}, None),
            ({"content": "\x01"}, None),
            ({}, "length"),
        ]


async def test_a_turn_of_the_assistants_is_continued(tiers: Any) -> None:
    turns = [TURN, {"role": "assistant", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]
    answer = await tiers.web.post(CHAT, json={"messages": turns, "max_tokens": 1})
    assert answer.status_code == 200
    rendered = tiers.engine.queries[0]
    assert (rendered.add_generation_prompt, rendered.continue_final_message) == (False, True)
    assert [each.content for each in rendered.messages] == ["h", "ab"]


async def test_fields_without_effect_are_named_in_a_header(tiers: Any) -> None:
    answer = await tiers.web.post(TEXT, json={**HI, "tfs": 0.9, "user": "me"})
    assert (answer.status_code, answer.headers["x-ignored-fields"]) == (200, "tfs, user")
    assert "x-ignored-fields" not in (await tiers.web.post(TEXT, json=HI)).headers


async def test_models_that_are_ready(tiers: Any) -> None:
    card = {"id": "bundled", "object": "model", "created": 0, "owned_by": "next-token-visualizer", "max_model_len": 64}
    assert (await tiers.web.get("/v1/models")).json() == {"object": "list", "data": [card]}
    assert (await tiers.web.get("/v1/models/bundled")).json() == card
    missing = await tiers.web.get("/v1/models/some/other")
    openai_problem(missing, 404, "invalid_request_error", "not_found")


async def test_the_tokenizer_as_lm_evaluation_harness_asks_for_it(tiers: Any) -> None:
    asked = {"prompt": "a\u00e9", "add_special_tokens": False, "return_token_strs": True}
    assert (await tiers.web.post("/tokenize", json=asked)).json() == {
        "count": 3,
        "max_model_len": 64,
        "tokens": [97, 195, 169],
        "token_strs": ["a", r"\xc3", r"\xa9"],
    }
    assert (await tiers.web.post("/tokenize", json={"prompt": "a"})).json()["tokens"] == [0, 97]
    assert (await tiers.web.post("/tokenize", json={"messages": [TURN]})).json()["tokens"] == [104, 0]
    assert (await tiers.web.post("/detokenize", json={"tokens": [0, 97]})).json() == {"prompt": "\0a"}
    assert (await tiers.web.get("/tokenizer_info")).json() == {
        "model": "bundled",
        "bos_token": "\0",
        "eos_token": None,
        "pad_token": None,
        "chat_template": "{{ messages }}",
        "add_bos_token": True,
        "model_max_length": 64,
    }


async def test_a_stream_that_breaks_ends_with_an_error(tiers: Any) -> None:
    tiers.engine.breaks_after, tiers.engine.breaking = 1, errors.ComputeFailed("the model failed")
    first, last = data_of((await tiers.web.post(TEXT, json={**HI, "stream": True})).text)
    assert first["choices"][0]["text"] == "j"
    assert set(last["error"]) == {"message", "type", "param", "code"}
    assert "the model failed" in last["error"]["message"]
    tiers.engine.breaks_after = 1
    openai_problem(await tiers.web.post(TEXT, json=HI), 500, "server_error", "internal")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_ends_the_work(tiers: Any, stream: bool) -> None:
    tiers.engine.breaks_after, tiers.engine.gate = 1, asyncio.Event()
    asking = asyncio.create_task(tiers.web.post(TEXT, json={"prompt": ["a", "b"], "n": 2, "stream": stream}))
    await until(lambda: len(tiers.engine.queries) == (1 if stream else 2))
    asking.cancel()
    await until(lambda: tiers.engine.closed == (1 if stream else 2))


async def test_an_answer_has_a_bounded_size(tiers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "MAX_ENTRIES", 40)
    fields = {"prompt": ["abcdef", "abcdef"], "max_tokens": 0, "echo": True, "logprobs": 5}
    words = openai_problem(
        await tiers.web.post(TEXT, json=fields), 400, "invalid_request_error", "invalid_argument", "logprobs"
    )
    assert "more than 40" in words
    assert (await tiers.web.post(TEXT, json={**fields, "stream": True})).status_code == 200


async def test_an_answer_that_does_not_begin_is_a_timeout(tiers: Any) -> None:
    tiers.engine.gate = asyncio.Event()
    async with gateway_here(f"127.0.0.1:{tiers.inference.port}", timeout_s=0.3) as gateway:
        for stream in (False, True):
            answer = await gateway.web.post(TEXT, json={**HI, "stream": stream})
            openai_problem(answer, 504, "server_error", "deadline_exceeded")


async def test_answers_take_the_places_of_streams(tiers: Any) -> None:
    tiers.engine.breaks_after, tiers.engine.gate = 1, asyncio.Event()
    async with gateway_here(f"127.0.0.1:{tiers.inference.port}", max_streams=1) as gateway:
        first = asyncio.create_task(gateway.web.post(TEXT, json=HI))
        await until(lambda: len(tiers.engine.queries) == 1)
        second = await gateway.web.post(TEXT, json=HI)
        openai_problem(second, 429, "rate_limit_error", "overloaded")
        assert int(second.headers["retry-after"]) >= 1
        assert (
            sample((await gateway.web.get("/metrics")).text, "nexttoken_gateway_refusals_total", reason="streams") == 1
        )
        tiers.engine.gate.set()
        assert (await first).status_code == 200
