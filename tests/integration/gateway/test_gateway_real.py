"""Both tiers as real commands with the bundled model: numbers that add up, clicks that go on, a real model's limits."""

import asyncio
import base64
import re
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from gateways import gateway_here, problem
from servers import PATIENCE_S, server_process


@pytest.fixture
def web(real: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=real, timeout=PATIENCE_S) as web:
        yield web


def ask(web: httpx.Client, **body: Any) -> Any:
    answer = web.post("/api/next-token", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_numbers_add_up(web: httpx.Client) -> None:
    answer = ask(web, text="Once upon a time", top_k=20, watch_token_ids=[0, 5], draws=[0, 0.999999])
    shown = [candidate["probability"] for candidate in answer["candidates"]]
    assert shown == sorted(shown, reverse=True)
    assert sum(shown) + answer["other_probability"] == pytest.approx(1, abs=1e-4)
    assert [candidate["rank"] for candidate in answer["candidates"]] == list(range(1, 21))
    assert [watched["token_id"] for watched in answer["watched"]] == [0, 5]
    assert answer["drawn"][0] == answer["candidates"][0]
    assert answer["kept"] == {"count": answer["vocab_size"], "probability": pytest.approx(1, abs=1e-4)}


def test_clicking_goes_on_where_the_text_ended(web: httpx.Client) -> None:
    typed = ask(web, text="Once upon a time", top_k=1, include_prompt_tokens=True)
    ids = [token["token_id"] for token in typed["prompt"]["tokens"]]
    spelled = b"".join(
        base64.b64decode(token["bytes"]) for token in typed["prompt"]["tokens"] if not token["is_special"]
    )
    assert spelled == b"Once upon a time"
    for _ in range(3):
        clicked = ask(web, token_ids=ids, top_k=1)["candidates"][0]
        ids.append(clicked["token_id"])
        spelled += base64.b64decode(clicked["bytes"])
    again = ask(web, token_ids=ids, top_k=1, include_prompt_tokens=True)["prompt"]["tokens"]
    assert b"".join(base64.b64decode(token["bytes"]) for token in again if not token["is_special"]) == spelled


def test_an_edit_keeps_the_ids_around_it(web: httpx.Client) -> None:
    """A special token too; and a text in parts has the numbers of its ids."""
    before = [token["token_id"] for token in ask(web, text="Once upon", include_prompt_tokens=True)["prompt"]["tokens"]]
    parts = [[*before, 0], " a time", [5, 6]]
    answer = ask(web, parts=parts, top_k=3, include_prompt_tokens=True)
    ids = [token["token_id"] for token in answer["prompt"]["tokens"]]
    assert (ids[: len(before) + 1], ids[-2:]) == ([*before, 0], [5, 6])
    written = answer["prompt"]["tokens"][len(before) + 1 : -2]
    assert b"".join(base64.b64decode(token["bytes"]) for token in written) == b" a time"
    assert ask(web, token_ids=ids, top_k=3)["candidates"] == answer["candidates"]


def test_temperature_zero_is_certain(web: httpx.Client) -> None:
    first, second = ask(web, text="The", top_k=2, temperature=0)["candidates"]
    assert (first["probability"], first["logprob"]) == (1, 0)
    assert (second["probability"], second["logprob"]) == (0, None)


def test_a_score_is_what_the_next_tokens_were(web: httpx.Client) -> None:
    text = "The cat sat"
    scored = web.post("/api/score", json={"text": text, "top_k": 1}).json()["tokens"]
    ids = [token["token_id"] for token in scored]
    for at in range(1, len(ids)):
        (watched,) = ask(web, token_ids=ids[:at], watch_token_ids=[ids[at]])["watched"]
        assert scored[at]["probability"] == pytest.approx(watched["probability"], abs=1e-4)
        assert scored[at]["rank"] == watched["rank"]


def test_what_this_model_cannot_take(web: httpx.Client) -> None:
    ready = ask(web, text="hi")
    size, limit = ready["vocab_size"], ready["prompt"]["context_limit"]
    table: list[tuple[dict[str, Any], str, str]] = [
        ({"token_ids": [size]}, "token_ids", f"from 0 to {size - 1:,}, got {size:,}"),
        ({"text": "hi", "watch_token_ids": [size]}, "watch_token_ids", f"from 0 to {size - 1:,}, got {size:,}"),
        ({"token_ids": [5] * (limit + 1)}, "token_ids", f"context window is {limit:,}"),
        ({"text": "word " * 5 * limit}, "text", f"context window is {limit:,}"),
        ({"text": "a" * 1_000_001}, "text", "at most 1,000,000 bytes"),
    ]
    for body, field, words in table:
        assert words in problem(web.post("/api/next-token", json=body), 400, "invalid_argument", field)
        if field != "watch_token_ids":
            assert words in problem(web.post("/api/score", json=body), 400, "invalid_argument", field)
        assert ask(web, text="hi")["candidates"] == ready["candidates"]


def test_any_text_comes_back(web: httpx.Client) -> None:
    for text in ("日本語のテキスト", "👩‍👩‍👧‍👦 e\u0301", "\x00\x07\x7f", " \t\n  ", "Ω≈ç√∫"):
        tokens = ask(web, text=text, include_prompt_tokens=True)["prompt"]["tokens"]
        spelled = b"".join(base64.b64decode(token["bytes"]) for token in tokens if not token["is_special"])
        assert spelled.decode() == text
        for token in tokens:
            if token["text"] is not None:
                assert base64.b64decode(token["bytes"]) == token["text"].encode()


async def test_a_full_queue_and_a_model_that_failed() -> None:
    settings = {"NEXTTOKEN_QUEUE_LIMIT": "1", "NEXTTOKEN_MODEL": "/no/such/folder"}
    with server_process(settings) as server:
        server.wait_for("model ready", model="bundled")
        async with gateway_here(server.target) as gateway:
            failed = await gateway.web.post("/api/next-token", json={"text": "hi"})
            assert "/no/such/folder" in problem(failed, 503, "model_failed")

            async def ask(at: int) -> httpx.Response:
                body = {"token_ids": [5 + at] * 500, "model": "bundled"}
                answer: httpx.Response = await gateway.web.post("/api/next-token", json=body)
                return answer

            answers = await asyncio.gather(*map(ask, range(40)))
            refused = [answer for answer in answers if answer.status_code != 200]
            assert 0 < len(refused) < len(answers)
            for answer in refused:
                problem(answer, 429, "overloaded")
                assert int(answer.headers["retry-after"]) >= 1
            assert (await ask(99)).status_code == 200


def test_layers_end_in_the_next_token_and_tell_where_it_comes_from(web: httpx.Client) -> None:
    text = "Once upon a time there was a little"
    shown = web.post("/api/next-token", json={"text": text, "top_k": 5, "include_prompt_tokens": True}).json()
    ids = [token["token_id"] for token in shown["prompt"]["tokens"]]
    contrast = [candidate["token_id"] for candidate in shown["candidates"][:2]]
    asked = {"token_ids": ids, "top_k": 5, "contrast": contrast, "watch_token_ids": contrast}
    told = web.post("/api/layers", json={**asked, "include_attention": True}).json()
    (facts,) = [model["facts"] for model in web.get("/api/models").json()["models"] if model["name"] == told["model"]]
    assert [layer["layer"] for layer in told["layers"]] == list(range(facts["layers"] + 1))
    last = told["layers"][-1]
    for found, expected in zip(last["candidates"], shown["candidates"], strict=True):
        assert (found["token_id"], found["rank"]) == (expected["token_id"], expected["rank"])
        assert found["probability"] == pytest.approx(expected["probability"], abs=1e-4)
    assert last["entropy_bits"] == pytest.approx(shown["entropy_bits"], abs=1e-3)
    assert last["kl_to_final_bits"] == 0
    difference = shown["candidates"][0]["logit"] - shown["candidates"][1]["logit"]
    assert told["logit_difference"] == pytest.approx(difference, abs=1e-3)
    shares = [part["logit_difference"] for part in told["contributions"]]
    assert sum(shares) == pytest.approx(told["logit_difference"], abs=1e-4)
    leads = [layer["candidates"][0]["token_id"] == contrast[0] for layer in told["layers"]]
    first = told["commitment"]["top1_layer"]
    assert all(leads[first:])
    assert first == 0 or not leads[first - 1]
    for head in (head for block in told["attention"] for head in block):
        assert len(head) == len(ids)
        assert sum(head) == pytest.approx(1, abs=1e-5)
    earlier = web.post("/api/layers", json={"token_ids": ids, "position": 3}).json()
    direct = web.post("/api/next-token", json={"token_ids": ids[:4]}).json()
    assert earlier["position"] == 3
    assert [each["token_id"] for each in earlier["layers"][-1]["candidates"]] == [
        each["token_id"] for each in direct["candidates"]
    ]


OPENAI = "^/(v1/|(de)?tokenize|tokenizer_info)"


def fuzz(real: str, tmp_path: Path, *options: str, examples: int = 25) -> None:
    """Schemathesis reads our OpenAPI file and sends what it allows and what it forbids.

    Left out: the endless stream of events, and that every body the file allows is accepted, since a body may name a
    model that is not listed or a token that a small vocabulary lacks.
    tests/unit/web_gateway/api/test_schemas.py holds that part.
    """
    command = [
        str(Path(sysconfig.get_path("scripts")) / "schemathesis"),
        *("run", f"{real}/api/openapi.json", "--exclude-path", "/api/models/events", *options),
        *(
            "--exclude-checks",
            "positive_data_acceptance",
            "--max-examples",
            str(examples),
            "--generation-deterministic",
        ),
        *("--request-timeout", str(PATIENCE_S), "--continue-on-failure", "--warnings", "off", "--no-color"),
    ]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def answered(real: str, route: str) -> set[str]:
    """The status codes that a route has answered with."""
    counted = re.findall(r"gateway_requests_total\{(.*)\}", httpx.get(f"{real}/metrics").text)
    told = [dict(re.findall(r'(\w+)="([^"]*)"', labels)) for labels in counted]
    return {one["code"] for one in told if one["route"] == route}


def test_the_contract_holds_under_fuzzing(real: str, tmp_path: Path) -> None:
    fuzz(real, tmp_path, "--exclude-path-regex", OPENAI)
    # Few bodies with sampler steps are valid up to the name of the model.
    fuzz(real, tmp_path, "--include-path", "/api/next-token", "--phases", "fuzzing", examples=100)
    for route in ("/api/next-token", "/api/score", "/api/layers"):
        assert {"200", "400", "404", "415"} <= answered(real, route)


def test_the_openai_contract_holds_under_fuzzing(real: str, tmp_path: Path) -> None:
    """Without the phase that tries each boundary of each field by itself, which takes minutes for so many."""
    fuzz(real, tmp_path, "--include-path-regex", OPENAI, "--phases", "examples,fuzzing")
    for route, code in (
        ("/v1/models", "200"),
        ("/tokenizer_info", "200"),
        ("/v1/completions", "400"),
        ("/tokenize", "400"),
    ):
        assert code in answered(real, route)
