"""Sampler steps over HTTP, through both tiers: each kind arrives, what it left comes back, bad ones are named."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import regex
from servers import PATIENCE_S

ALL: list[dict[str, Any]] = [
    {"logit_bias": [{"token_id": 7, "bias": -1.5}]},
    {"ban": [5, 6]},
    {"repetition_penalty": {"penalty": 1.1, "last": 64, "ignore_prompt": True}},
    {"frequency_penalty": {"penalty": 0.1}},
    {"presence_penalty": {"penalty": -0.1}},
    {"top_n_sigma": 100},
    {"temperature": 1.5},
    {"top_h": 1},
    {"top_k": 50},
    {"typical_p": 1},
    {"top_p": 1},
    {"min_p": 0},
    {"epsilon": 1e-9},
    {"eta": 1e-9},
    {"xtc": {"probability": 1, "threshold": 0.9, "coin": 0.5}},
    {"mask": {"grammar": "start: /(.|\\n)*/"}},
]


@pytest.fixture
def web(real: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=real, timeout=PATIENCE_S) as web:
        yield web


def ask(web: httpx.Client, **body: Any) -> Any:
    answer = web.post("/api/next-token", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_every_step_travels(web: httpx.Client) -> None:
    second = ask(web, text="Once upon a time", top_k=2)["candidates"][1]["token_id"]
    bias = {"logit_bias": [*ALL[0]["logit_bias"], {"token_id": second, "bias": 10}]}
    body = {"samplers": [bias, *ALL[1:]], "answer_start": 0, "draws": [0.01], "watch_token_ids": [5]}
    answer = ask(web, text="Once upon a time", top_k=3, **body)
    steps = answer["sampling"]["steps"]
    assert len(steps) == len(ALL)
    assert steps[0] == {"count": answer["vocab_size"], "probability": 1}
    assert steps[1]["count"] == answer["vocab_size"] - 2
    assert steps[8]["count"] == 50
    assert answer["kept"]["count"] == steps[-1]["count"]
    likeliest = answer["sampling"]["likeliest"]
    assert [len(likeliest), likeliest[0]["token_id"]] == [3, second]
    assert likeliest[0]["sampled"]["probability"] > likeliest[0]["probability"]
    assert answer["drawn"][0] == likeliest[0]
    assert answer["watched"][0]["sampled"] == {"probability": 0, "logprob": None, "fell_at": 1}
    assert "sampled" not in ask(web, text="Once upon a time")["candidates"][0]


def test_generated_and_compared_texts_take_steps(web: httpx.Client) -> None:
    body = {
        "text": "Once upon a time",
        "samplers": [{"ban": [14]}, {"top_k": 2}],
        "max_tokens": 3,
        "top_k": 1,
        "seed": 1,
    }
    streamed = web.post("/api/generate", json=body).text
    assert streamed.count('"steps":[{"count":4095,') == 3
    body = {"text": "Once upon a time", "samplers": [{"top_k": 4}, {"temperature": 0.5}]}
    answer = web.post("/api/compare", json={"a": {"text": "Once upon a time"}, "b": body}).json()
    assert [step["count"] for step in answer["b"]["steps"]] == [4, 4]
    assert "steps" not in answer["a"]


@pytest.mark.parametrize(
    ("samplers", "error"),
    [
        (3, "samplers: must be an array of at most 16 objects, not 3"),
        ([3], "samplers[0]: must be an object, not 3"),
        ([{}], "samplers[0]: exactly one of temperature, top_k, top_p,"),
        ([{"top_k": 1, "top_p": 1}], "samplers[0]: exactly one of temperature, top_k, top_p,"),
        ([{"top_j": 1}], "samplers[0].top_j: unknown field; known fields are temperature, top_k,"),
        ([{"top_p": 0}], "samplers[0].top_p: must be a number above 0 and at most 1, not 0"),
        ([{"min_p": 1}, {"top_k": 1.5}], "samplers[1].top_k: must be an integer from 1 to 2,147,483,647, not 1.5"),
        (
            [{"ban": []}],
            "samplers[0].ban: must be an array of 1 to 1,000 integers from 0 to 2,147,483,647, not an array",
        ),
        ([{"ban": [4096]}], "samplers: must be ids from 0 to 4,095, got 4,096 at index 0 of step 0 (ban)"),
        ([{"logit_bias": [{"token_id": 1}]}], "samplers[0].logit_bias[0].bias: required"),
        ([{"xtc": {"probability": 2}}], "samplers[0].xtc.probability: must be a number from 0 to 1, not 2"),
        (
            [{"xtc": {"probability": 1, "coin": 1}}],
            "samplers[0].xtc.coin: must be a number at least 0 and below 1, not 1",
        ),
        (
            [{"presence_penalty": {"penalty": 3}}],
            "samplers: penalty of step 0 (presence_penalty) must be from -2 to 2,",
        ),
        ([{"mask": {}}], "samplers[0].mask: exactly one of choices, regex, json_schema, grammar must be given"),
        ([{"mask": {"regex": "a", "grammar": "b"}}], "samplers[0].mask: exactly one of choices, regex,"),
        ([{"mask": {"choices": []}}], "samplers[0].mask.choices: must be an array of 1 to 1,000 non-empty strings"),
        ([{"mask": {"choices": [""]}}], "samplers[0].mask.choices[0]: must be a non-empty string"),
        ([{"mask": {"regex": ""}}], "samplers[0].mask.regex: must be a non-empty string"),
        ([{"mask": {"json_schema": "{}"}}], "samplers[0].mask.json_schema: must be an object"),
        ([{"mask": {"grammar": 3}}], "samplers[0].mask.grammar: must be a non-empty string, not 3"),
        ([{"mask": {"regex": "é" * 40_000}}], "samplers: regex of step 0 (mask) must be at most 65,536 bytes"),
        ([{"mask": {"regex": "a("}}], "samplers: regex of mask can't be read: at 1(8): invalid regex"),
        ([{"mask": {"json_schema": {"type": "x"}}}], "samplers: json_schema of mask can't be read: Invalid type: x"),
        ([{"mask": {"grammar": "start: a"}}], "samplers: grammar of mask can't be read: at 1(8): unknown name"),
        ([{"top_k": 1}, {"top_k": 2}], "samplers: top_k is given twice, as steps 0 and 1"),
    ],
)
def test_bad_steps_are_named(web: httpx.Client, samplers: Any, error: str) -> None:
    answer = web.post("/api/next-token", json={"text": "a", "samplers": samplers})
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["field"]) == (400, "invalid_argument", "samplers")
    assert problem["error"].startswith(error)


def test_filters_are_given_once(web: httpx.Client) -> None:
    answer = web.post("/api/next-token", json={"text": "a", "samplers": [{"top_k": 1}], "temperature": 0.5})
    assert answer.json()["field"] == "temperature"


SCHEMA = {"type": "object", "properties": {"name": {"enum": ["Tom", "Sue"]}}, "required": ["name"]}
FORMS: list[tuple[dict[str, Any], str]] = [
    ({"choices": ["a big dog", "a cat, she said"]}, r"a big dog|a cat, she said"),
    ({"regex": r"[A-Z][a-z]{2,6}( [a-z]{2,6}){2}\."}, r"[A-Z][a-z]{2,6}( [a-z]{2,6}){2}\."),
    ({"json_schema": SCHEMA}, r'\{\s*"name"\s*:\s*"(Tom|Sue)"\s*(,.*)?\}'),
    ({"grammar": 'start: "(" start? ")"'}, r"\(+\)+"),
]


@pytest.mark.parametrize(("form", "pattern"), FORMS)
def test_generated_texts_have_the_form_that_a_mask_asks_for(
    web: httpx.Client, form: dict[str, Any], pattern: str
) -> None:
    body = {"text": "Once upon a time", "samplers": [{"mask": form}, {"temperature": 1.5}], "seed": 3, "n": 3}
    streamed = web.post("/api/generate", json={**body, "max_tokens": 60, "stop_token_ids": []}).text
    ends = [json.loads(line.removeprefix("data: ")) for line in streamed.splitlines() if '"finish_reason"' in line]
    assert len(ends) == 3
    for end in ends:
        complete = end["finish_reason"] == "stop_token"
        assert regex.fullmatch(pattern, end["text"], partial=not complete, flags=regex.DOTALL)
    assert any(end["finish_reason"] == "stop_token" for end in ends) or "json_schema" in form


def test_a_mask_holds_from_where_it_is_said_to(web: httpx.Client) -> None:
    steps = [{"mask": {"choices": ["a dog", "a cat"]}}]
    prompt = ask(web, text="Tom had", include_prompt_tokens=True)["prompt"]
    ids = [token["token_id"] for token in prompt["tokens"]]
    first = ask(web, token_ids=ids, samplers=steps)["sampling"]["likeliest"]
    assert [token["text"] for token in first] == ["a"]
    then = [*ids, first[0]["token_id"]]
    assert ask(web, token_ids=then, samplers=steps)["sampling"]["likeliest"][0]["text"] == "a"
    answer = ask(web, token_ids=then, samplers=steps, constrained_from=len(ids))
    assert {token["text"][:2] for token in answer["sampling"]["likeliest"]} <= {" ", " d", " c"}
    assert answer["candidates"][0]["sampled"]["fell_at"] in (0, None)
    refused = web.post("/api/next-token", json={"token_ids": ids, "samplers": steps, "constrained_from": 1}).json()
    assert refused["field"] == "constrained_from"
    assert refused["error"].startswith(f"constrained_from: must be from 0 to {len(ids)}, and the ids from there on")
    side = {"token_ids": then, "samplers": steps, "constrained_from": len(ids)}
    compared = web.post("/api/compare", json={"a": {"token_ids": then}, "b": side}).json()
    assert compared["b"]["kept"]["count"] == answer["kept"]["count"]
    wrong = web.post("/api/compare", json={"a": {"token_ids": then}, "b": {**side, "constrained_from": 0}}).json()
    assert wrong["field"] == "b.constrained_from"
    far = web.post("/api/next-token", json={"token_ids": ids, "samplers": steps, "constrained_from": 99}).json()
    assert far["error"] == f"constrained_from: must be from 0 to {len(ids)}, got 99"


def test_the_openai_api_holds_completions_to_forms(web: httpx.Client) -> None:
    body = {"prompt": "Tom had", "model": "bundled", "max_tokens": 40, "seed": 4, "temperature": 1.2}
    answer = web.post("/v1/completions", json={**body, "n": 3, "guided_choice": ["a dog", "a red ball"]}).json()
    assert {choice["text"] for choice in answer["choices"]} <= {"a dog", "a red ball"}
    assert {choice["finish_reason"] for choice in answer["choices"]} == {"stop"}
    grammar = """
    root ::= animal | colour " ball"
    animal ::= "a dog"
    colour ::= "a " ("red" | "blue")
    """
    for held in ({"guided_grammar": grammar}, {"structured_outputs": {"grammar": grammar}}):
        answer = web.post("/v1/completions", json={**body, "n": 2, **held}).json()
        assert {choice["text"] for choice in answer["choices"]} <= {"a dog", "a red ball", "a blue ball"}
        assert {choice["finish_reason"] for choice in answer["choices"]} == {"stop"}
    chosen = {**body, "structured_outputs": {"choice": ["a dog"]}}
    assert web.post("/v1/completions", json=chosen).json()["choices"][0]["text"] == "a dog"
    form = {"type": "json_schema", "json_schema": {"schema": {"enum": ["Tom", 3]}}}
    answer = web.post("/v1/completions", json={**body, "response_format": form}).json()
    assert json.loads(answer["choices"][0]["text"]) in ("Tom", 3)
    refused = web.post("/v1/completions", json={**body, "guided_regex": "a("})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "guided_regex")
    assert refused.json()["error"]["message"].startswith("guided_regex: regex of mask can't be read: ")
    refused = web.post("/v1/completions", json={**body, "structured_outputs": {"grammar": "root ::= b"}})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "structured_outputs")
    assert "grammar of mask can't be read: " in refused.json()["error"]["message"]
