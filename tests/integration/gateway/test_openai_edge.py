"""The edge of the OpenAI-compatible API: errors in its shape, keys, other origins, turned off, recorded requests."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from gateways import gateway_here, problem
from openai_shapes import data_of, openai_problem

from inference_server import errors
from service_kit.settings import HostName, Origin

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXT, CHAT = "/v1/completions", "/v1/chat/completions"
HI = {"prompt": "hi", "max_tokens": 1}
KEY = "sk-a-key-of-enough-characters"
INVALID = "invalid_request_error"


@pytest.mark.parametrize(
    ("failure", "status", "kind", "code", "param"),
    [
        (errors.InvalidField("text", "too long"), 400, INVALID, "invalid_argument", "prompt"),
        (errors.InvalidField("seed", "9 is too much"), 400, INVALID, "invalid_argument", "seed"),
        (errors.UnknownModel("no model m here"), 404, INVALID, "not_found", None),
        (errors.Overloaded("64 streams are open", 2.1), 429, "rate_limit_error", "overloaded", None),
        (errors.ComputeFailed("the model gave no numbers"), 500, "server_error", "internal", None),
        (errors.ModelNotReady("m is downloading"), 503, "server_error", "unavailable", None),
        (errors.DeadlineExpired("it took too long"), 504, "server_error", "deadline_exceeded", None),
    ],
)
async def test_errors_of_the_engine(
    tiers: Any, failure: Exception, status: int, kind: str, code: str, param: str | None
) -> None:
    tiers.engine.failure = failure
    for fields in ({}, {"stream": True}, {"echo": True, "logprobs": 1}, {"prompt": ["a", "b"]}):
        answer = await tiers.web.post(TEXT, json={**HI, **fields})
        words = openai_problem(answer, status, kind, code, param)
        assert str(failure).rpartition(": ")[2] in words
        assert answer.headers.get("retry-after") == ("3" if status == 429 else None)


async def test_errors_of_the_edge(tiers: Any) -> None:
    web = tiers.web
    openai_problem(await web.post(TEXT, content=b"{}"), 415, INVALID, "unsupported_media_type")
    openai_problem(await web.post(TEXT, json={}), 400, INVALID, "invalid_argument", "prompt")
    openai_problem(await web.post(TEXT, json=[]), 400, INVALID, "invalid_argument")
    openai_problem(await web.post(CHAT, json={"messages": []}), 400, INVALID, "invalid_argument", "messages")
    openai_problem(await web.post(TEXT, json={"prompt": "x" * 2_000_000}), 413, INVALID, "payload_too_large")
    openai_problem(await web.get("/v1/nowhere"), 404, INVALID, "not_found")
    openai_problem(await web.post("/v1/embeddings", json={}), 404, INVALID, "not_found")
    openai_problem(await web.get(TEXT), 405, INVALID, "method_not_allowed")
    openai_problem(await web.get(TEXT, headers={"host": "evil.test"}), 421, INVALID, "misdirected_request")
    problem(await web.post("/api/score", json={}), 400, "invalid_argument", "text")  # others keep their shape


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file: Path = tmp_path_factory.mktemp("keys") / "keys"
    file.write_text(f"{KEY}\n")
    return file


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def keyed(stack: Any, keys: Path) -> AsyncIterator[Any]:
    """A gateway that wants a key, and lets a page of another origin ask."""
    origins = (Origin("https://example.org"),)
    settings: dict[str, Any] = {"api_keys_file": str(keys), "cors_origins": origins}
    async with gateway_here(f"127.0.0.1:{stack.inference.port}", **settings) as gateway:
        yield gateway


async def test_only_a_key_opens_these_paths_and_no_other_path_wants_one(tiers: Any, keyed: Any) -> None:
    right, wrong = ({"authorization": f"Bearer {key}"} for key in (KEY, "sk-another-key-of-enough"))
    for path in ("/v1/models", "/v1/models/bundled", "/tokenizer_info"):
        assert (await keyed.web.get(path, headers=right)).status_code == 200
        assert (
            "no api key"
            in openai_problem(await keyed.web.get(path), 401, "authentication_error", "invalid_api_key").lower()
        )
    for path in (TEXT, CHAT, "/tokenize", "/detokenize"):
        answer = await keyed.web.post(path, json=HI, headers=wrong)
        words = openai_problem(answer, 401, "authentication_error", "invalid_api_key")
        assert "sk-" not in words
        assert answer.headers["www-authenticate"] == "Bearer"
    assert (await keyed.web.post(TEXT, json=HI, headers=right)).status_code == 200
    assert (await keyed.web.post("/api/score", json={"text": "a"})).status_code == 200
    assert 'reason="key"' in (await keyed.web.get("/metrics")).text
    assert KEY not in (await keyed.web.get("/metrics")).text


async def test_pages_of_listed_origins_may_send_what_the_sdk_sends(keyed: Any) -> None:
    sent = "authorization,content-type,x-stainless-arch,x-stainless-lang,x-stainless-os,x-stainless-package-version,"
    sent += "x-stainless-retry-count,x-stainless-runtime,x-stainless-runtime-version,x-stainless-timeout"
    asked = {"access-control-request-method": "POST", "access-control-request-headers": sent}
    preflight = await keyed.web.options(TEXT, headers={**asked, "origin": "https://example.org"})
    assert preflight.status_code == 200
    allowed = preflight.headers["access-control-allow-headers"].lower().split(", ")
    assert set(sent.split(",")) <= set(allowed)
    refused = await keyed.web.options(TEXT, headers={**asked, "origin": "https://evil.test"})
    assert "access-control-allow-origin" not in refused.headers
    answer = await keyed.web.post(TEXT, json=HI, headers={"origin": "https://example.org"})
    assert answer.status_code == 401  # which the page can read
    assert answer.headers["access-control-allow-origin"] == "https://example.org"


async def test_it_can_be_turned_off(tiers: Any) -> None:
    async with gateway_here(f"127.0.0.1:{tiers.inference.port}", openai_api=False) as gateway:
        for path in ("/v1/models", "/tokenizer_info"):
            openai_problem(await gateway.web.get(path), 404, INVALID, "not_found")
        openai_problem(await gateway.web.post(TEXT, json=HI), 405, INVALID, "method_not_allowed")
        assert (await gateway.web.post("/api/score", json={"text": "a"})).status_code == 200


async def test_names_of_hosts_are_checked_first(tiers: Any) -> None:
    hosts = (HostName("example.org"),)
    async with gateway_here(f"127.0.0.1:{tiers.inference.port}", trusted_hosts=hosts) as gateway:
        openai_problem(await gateway.web.get("/v1/models"), 421, INVALID, "misdirected_request")


async def test_what_mikupad_sends(tiers: Any) -> None:
    """Its samplers as they are by default, streamed; it matches each chunk's text with the candidates."""
    listed = await tiers.web.get("/v1/models", headers={"authorization": "Bearer x"})
    (model,) = [each["id"] for each in listed.json()["data"]]
    body = {
        **{"model": model, "prompt": "hi", "temperature": 0.7, "top_k": 40, "top_p": 0.95, "min_p": 0},
        **{"typical_p": 1, "tfs": 1, "dynatemp_range": 0, "dynatemp_exponent": 1, "penalize_nl": False},
        **{"repetition_penalty": 1.1, "repetition_penalty_range": 256, "ban_eos_token": False},
        **{"presence_penalty": 0, "frequency_penalty": 0, "xtc_threshold": 0.1, "xtc_probability": 0},
        **{"dry_multiplier": 0, "dry_base": 1.75, "dry_allowed_length": 2, "dry_penalty_last_n": 0},
        **{"dry_sequence_breakers": '["\\n", ":"]', "banned_tokens": [], "max_tokens": 3, "logprobs": 10},
        **{"stream": True, "max_context_length": 8192, "stop": ["zzz"]},
    }
    answer = await tiers.web.post(TEXT, json=body, headers={"authorization": "Bearer x"})
    assert answer.status_code == 200, answer.text
    *chunks, done = data_of(answer.text)
    assert done == "[DONE]"
    assert "".join(chunk["choices"][0]["text"] for chunk in chunks) == "jkl"
    for chunk in chunks[:-1]:
        (choice,) = chunk["choices"]
        assert choice["text"] in choice["logprobs"]["top_logprobs"][0]
        assert len(choice["logprobs"]["top_logprobs"][0]) == 10
    wrong = await tiers.web.post(TEXT, json={**body, "top_p": 7})
    assert wrong.json()["error"]["message"].startswith("top_p: must be")


async def test_what_logitloom_sends(tiers: Any) -> None:
    """It asks for every node anew, with the text so far as a turn of the assistant's that is marked as a prefix."""
    owners = {each["owned_by"] for each in (await tiers.web.get("/v1/models")).json()["data"]}
    assert not owners & {"koboldcpp", "vllm", "Hyperbolic"}  # whose peculiarities it would expect
    body: dict[str, Any] = {
        "model": "bundled",
        "messages": [{"role": "user", "content": "h"}],
        **{"logprobs": True, "top_logprobs": 4, "max_tokens": 3, "temperature": 1.0},
    }
    sent = {"x-stainless-lang": "js", "x-stainless-runtime": "browser:chrome", "authorization": "Bearer x"}
    first = (await tiers.web.post(CHAT, json=body, headers=sent)).json()["choices"][0]
    assert [len(each["top_logprobs"]) for each in first["logprobs"]["content"]] == [4, 4, 4]
    for each in first["logprobs"]["content"]:
        assert each["token"] in {candidate["token"] for candidate in each["top_logprobs"]}
    prefill = {"role": "assistant", "content": first["message"]["content"], "prefix": True}
    for flags in ({}, {"continue_final_message": True, "add_generation_prompt": False}):
        tiers.engine.queries.clear()
        again = await tiers.web.post(CHAT, json={**body, "messages": [*body["messages"], prefill], **flags})
        assert again.status_code == 200
        assert tiers.engine.queries[0].continue_final_message
