"""The bad-input table over HTTP: each row's status, code, field and words, and that the next request is answered."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from gateways import problem

from inference_server import errors

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON = {"content-type": "application/json"}
HUGE = "9" * 30


def prompt(**fields: Any) -> bytes:
    return json.dumps({"text": "hi", **fields}).encode()


def raw(field: str, value: str) -> bytes:
    return b'{"text": "hi", "%s": %s}' % (field.encode(), value.encode())


K = "top_k: must be an integer from 1 to 1,000"
T = "temperature: must be a number from 0 to 100"
IDS = "must be an integer from 0 to 2,147,483,647"
Row = tuple[bytes, str | None, str]
MALFORMED: list[Row] = [
    (b"", None, "the body is empty"),
    (b"  \n", None, "the body is empty"),
    (b"hello", None, "the body is not JSON"),
    (b'{"text": "hi"', None, "the body is not JSON: unexpected end"),
    (b'{"text": "hi"} {}', None, "the body is not JSON: trailing characters"),
    (b'{"text": "hi",}', None, "the body is not JSON"),
    (b"{'text': 'hi'}", None, "the body is not JSON"),
    (b'\xef\xbb\xbf{"text": "hi"}', None, "the body is not JSON"),
    ('{"text": "hi"}'.encode("utf-16"), None, "the body is not"),
    (b"null", None, "the body must be a JSON object, not null"),
    (b'"hi"', None, "the body must be a JSON object, not a string"),
    (b'[{"text": "hi"}]', None, "the body must be a JSON object, not an array"),
    (b"[" * 100_000, None, "the body must be a JSON object, not an array"),
    (b'{"text": ' + b"[" * 100_000, "text", "text: must be a string"),
    (b'{"a": ' * 100_000, "a", "a: unknown field"),
    (b'{"text": "\xff"}', "text", "text: is not valid UTF-8 (byte 10 of the body)"),
    (b'{"text": "\xed\xa0\x80"}', "text", "text: is not valid UTF-8 (byte 10 of the body)"),
    (b'{"\xff": 1}', None, "a field name is not valid UTF-8 (byte 2 of the body)"),
    (rb'{"text": "\ud800"}', "text", "text: contains an unpaired surrogate"),
    (rb'{"text": "a\udc00b"}', "text", "text: contains an unpaired surrogate"),
    (rb'{"text": "\ud83d\ud83d"}', "text", "text: contains an unpaired surrogate"),
    (rb'{"\ud800": 1}', None, "a field name contains an unpaired surrogate"),
    (b'{"text": "a\nb"}', None, "the body is not JSON: invalid character"),
    (b'{"text": "a", "text": "b"}', "text", "text: duplicate field"),
    (rb'{"text": "a", "\u0074ext": "b"}', "text", "text: duplicate field"),
    (prompt(topk=3), "topk", "topk: unknown field; known fields are text, token_ids, model, special, top_k,"),
    (prompt(**{"x" * 5000: 3}), "x" * 59 + "…", "unknown field"),
]
MISFITS: list[Row] = [
    (b"{}", "text", "exactly one of text, token_ids and parts must be given"),
    (prompt(token_ids=[1]), "text", "exactly one of text, token_ids and parts must be given"),
    (b'{"text": null}', "text", "text: must be a string, not null"),
    (b'{"text": 5}', "text", "text: must be a string, not 5"),
    (b'{"text": ["hi"]}', "text", "text: must be a string, not an array of 1"),
    (b'{"token_ids": "1,2"}', "token_ids", "token_ids: must be an array of integers from 0"),
    (b'{"token_ids": [1, "2"]}', "token_ids", f'token_ids[1]: {IDS}, not "2"'),
    (b'{"token_ids": [1, 2.0]}', "token_ids", f"token_ids[1]: {IDS}, not 2.0"),
    (b'{"token_ids": [null]}', "token_ids", f"token_ids[0]: {IDS}, not null"),
    (b'{"token_ids": [[1]]}', "token_ids", f"token_ids[0]: {IDS}, not an array of 1"),
    (b'{"token_ids": [true]}', "token_ids", f"token_ids[0]: {IDS}, not true"),
    (b'{"token_ids": [-1]}', "token_ids", f"token_ids[0]: {IDS}, not -1"),
    (b'{"token_ids": [2147483648]}', "token_ids", f"token_ids[0]: {IDS}, not 2147483648"),
    (b'{"token_ids": [%s]}' % HUGE.encode(), "token_ids", f"token_ids[0]: {IDS}, not {HUGE}"),
    (prompt(model=3), "model", "model: must be a string, not 3"),
    (prompt(top_k="10"), "top_k", f'{K}, not "10"'),
    (prompt(top_k=10.0), "top_k", f"{K}, not 10.0; write it without a decimal point"),
    (prompt(top_k=1.5), "top_k", f"{K}, not 1.5"),
    (prompt(top_k=True), "top_k", f"{K}, not true"),
    (prompt(top_k=None), "top_k", f"{K}, not null"),
    (prompt(top_k={}), "top_k", f"{K}, not an object"),
    (prompt(top_k=0), "top_k", f"{K}, not 0"),
    (prompt(top_k=-1), "top_k", f"{K}, not -1"),
    (prompt(top_k=1001), "top_k", f"{K}, not 1001"),
    (prompt(top_k=2**31), "top_k", f"{K}, not 2147483648"),
    (prompt(top_k=2**63), "top_k", f"{K}, not 9223372036854775808"),
    (raw("top_k", HUGE), "top_k", f"{K}, not {HUGE}"),
    (raw("top_k", "9" * 5000), "top_k", K),
    (raw("top_k", "-" + "9" * 5000), "top_k", K),
    (raw("top_k", "1e3"), "top_k", f"{K}, not 1000.0"),
    (prompt(temperature="1"), "temperature", f'{T}, not "1"'),
    (prompt(temperature=False), "temperature", f"{T}, not false"),
    (prompt(temperature=-0.1), "temperature", f"{T}, not -0.1"),
    (prompt(temperature=100.1), "temperature", f"{T}, not 100.1"),
    (prompt(temperature=1e300), "temperature", f"{T}, not 1e+300"),
    (
        raw("temperature", "NaN"),
        "temperature",
        "temperature: NaN and Infinity are not JSON; must be a number from 0 to",
    ),
    (raw("temperature", "Infinity"), "temperature", "temperature: NaN and Infinity are not JSON"),
    (raw("temperature", "-Infinity"), "temperature", "temperature: NaN and Infinity are not JSON"),
    (raw("temperature", "1e999"), "temperature", T),
    (raw("temperature", HUGE), "temperature", T),
    (raw("temperature", "9" * 5000), "temperature", T),
    (prompt(top_p=0), "top_p", "top_p: must be a number above 0 and at most 1, not 0"),
    (prompt(top_p=1.01), "top_p", "top_p: must be a number above 0 and at most 1, not 1.01"),
    (prompt(min_p=-0.01), "min_p", "min_p: must be a number from 0 to 1, not -0.01"),
    (prompt(min_p=2), "min_p", "min_p: must be a number from 0 to 1, not 2"),
    (prompt(draws=0.5), "draws", "draws: must be an array of at most 1,000 numbers at least 0 and below 1, not 0.5"),
    (prompt(draws=[0.5, 1]), "draws", "draws[1]: must be a number at least 0 and below 1, not 1"),
    (prompt(draws=[-0.5]), "draws", "draws[0]: must be a number at least 0 and below 1, not -0.5"),
    (prompt(draws=[0.5] * 1001), "draws", "draws: must be an array of at most 1,000 numbers"),
    (raw("draws", "[0.1, NaN]"), "draws", "draws: NaN and Infinity are not JSON"),
    (
        prompt(watch_token_ids=[1] * 33),
        "watch_token_ids",
        "watch_token_ids: must be an array of at most 32 integers",
    ),
    (prompt(watch_token_ids=[-1]), "watch_token_ids", f"watch_token_ids[0]: {IDS}, not -1"),
    (prompt(include_partition=1), "include_partition", "include_partition: must be true or false, not 1"),
    (prompt(include_prompt_tokens="yes"), "include_prompt_tokens", "include_prompt_tokens: must be true or false"),
]


@pytest_asyncio.fixture(loop_scope="module")
async def served(tiers: Any) -> AsyncIterator[Any]:
    """The tiers; whatever the test did, the next request must be answered."""
    yield tiers
    tiers.engine.failure = None
    answer = await tiers.web.post("/api/next-token", json={"text": "b"})
    assert answer.json()["candidates"][0]["text"] == "c"


@pytest.mark.parametrize(("body", "field", "words"), MALFORMED + MISFITS, ids=lambda value: repr(value)[:40])
async def test_next_token_refuses(served: Any, body: bytes, field: str | None, words: str) -> None:
    answer = await served.web.post("/api/next-token", content=body, headers=JSON)
    assert words in problem(answer, 400, "invalid_argument", field)
    assert served.engine.queries == []


@pytest.mark.parametrize(("body", "field", "words"), MALFORMED[:24], ids=lambda value: repr(value)[:40])
async def test_score_refuses(served: Any, body: bytes, field: str | None, words: str) -> None:
    answer = await served.web.post("/api/score", content=body, headers=JSON)
    assert words in problem(answer, 400, "invalid_argument", field)
    assert served.engine.queries == []


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        (b"{}", "text", "exactly one of text and token_ids must be given"),
        (prompt(token_ids=[1]), "text", "exactly one of text and token_ids must be given"),
        (prompt(top_k=101), "top_k", "top_k: must be an integer from 0 to 100, not 101"),
        (prompt(top_k=-1), "top_k", "top_k: must be an integer from 0 to 100, not -1"),
        (
            prompt(temperature=1),
            "temperature",
            "temperature: unknown field; known fields are text, token_ids, model, special, top_k",
        ),
    ],
)
async def test_score_has_ranges_of_its_own(served: Any, body: bytes, field: str, words: str) -> None:
    answer = await served.web.post("/api/score", content=body, headers=JSON)
    assert words in problem(answer, 400, "invalid_argument", field)


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        (b"{}", "text", "exactly one of text and token_ids must be given"),
        (prompt(top_k=101), "top_k", "top_k: must be an integer from 1 to 100, not 101"),
        (prompt(position=-1), "position", "position: must be an integer from 0 to 2,147,483,647, not -1"),
        (prompt(position=2**31), "position", "not 2147483648"),
        (prompt(contrast=[1]), "contrast", "contrast: must be an array of exactly 2 integers from 0"),
        (prompt(contrast=[1, 2, 3]), "contrast", "contrast: must be an array of exactly 2 integers from 0"),
        (prompt(contrast=7), "contrast", "contrast: must be an array of exactly 2 integers from 0"),
        (prompt(contrast=[1, -1]), "contrast", f"contrast[1]: {IDS}, not -1"),
        (prompt(watch_token_ids=[1] * 33), "watch_token_ids", "an array of at most 32 integers"),
        (prompt(temperature=101), "temperature", f"{T}, not 101"),
        (prompt(include_attention=1), "include_attention", "include_attention: must be true or false, not 1"),
        (
            prompt(top_p=0.5),
            "top_p",
            "top_p: unknown field; known fields are text, token_ids, model, special, position,",
        ),
    ],
)
async def test_layers_has_ranges_of_its_own(served: Any, body: bytes, field: str, words: str) -> None:
    answer = await served.web.post("/api/layers", content=body, headers=JSON)
    assert words in problem(answer, 400, "invalid_argument", field)


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        (b"", None, "the body is empty"),
        (b"{}", "name", "name: required"),
        (b'{"name": ""}', "name", "name: must be a non-empty string"),
        (b'{"name": 7}', "name", "name: must be a non-empty string, not 7"),
        (b'{"name": "bundled", "now": true}', "now", "now: unknown field; known fields are name"),
    ],
)
async def test_load_refuses(served: Any, body: bytes, field: str | None, words: str) -> None:
    answer = await served.web.post("/api/models/load", content=body, headers=JSON)
    assert words in problem(answer, 400, "invalid_argument", field)


@pytest.mark.parametrize("path", ["/api/next-token", "/api/score", "/api/layers"])
async def test_a_model_that_is_not_listed(served: Any, path: str) -> None:
    answer = await served.web.post(path, json={"text": "hi", "model": "someone/else"})
    assert "someone/else" in problem(answer, 404, "not_found")


async def test_loading_a_model_that_is_not_listed(served: Any) -> None:
    answer = await served.web.post("/api/models/load", json={"name": "someone/else"})
    assert "someone/else" in problem(answer, 404, "not_found")


@pytest.mark.parametrize("path", ["/api/next-token", "/api/score", "/api/layers"])
@pytest.mark.parametrize(
    ("failure", "status", "code", "field", "words"),
    [
        (
            errors.InvalidField("token_ids", "9 is not below 5"),
            400,
            "invalid_argument",
            "token_ids",
            "token_ids: 9 is not",
        ),
        (errors.InvalidField("prompt", "is empty"), 400, "invalid_argument", "prompt", "prompt: is empty"),
        (errors.ModelNotReady("m is downloading, 3 of 7 MB"), 503, "unavailable", None, "m is downloading, 3 of 7 MB"),
        (errors.ModelFailed("m failed: no network"), 503, "model_failed", None, "m failed: no network"),
        (errors.Overloaded("64 requests are waiting", 2.1), 429, "overloaded", None, "64 requests are waiting"),
        (errors.DeadlineExpired("30 s passed while waiting"), 504, "deadline_exceeded", None, "30 s passed"),
        (errors.Stopping("the server is stopping"), 503, "unavailable", None, "the server is stopping"),
        (errors.ComputeFailed("the model gave no numbers"), 500, "internal", None, "the model gave no numbers"),
        (ZeroDivisionError("secret /etc/path"), 500, "internal", None, "its log has the details"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
async def test_what_the_engine_refuses(
    served: Any, path: str, failure: Exception, status: int, code: str, field: str | None, words: str
) -> None:
    served.engine.failure = failure
    answer = await served.web.post(path, json={"text": "hi"})
    told = problem(answer, status, code, field)
    assert words in told
    assert "secret" not in told
    assert answer.headers.get("retry-after") == ("3" if code == "overloaded" else None)
