"""Bodies that cost a careless reader far more than their bytes: each is refused by its field, and memory stays flat."""

import json
import zlib
from collections.abc import Iterator, Mapping

import httpx
import pytest

from attack.guard import Guarded, guarded
from attack.tiers import Tiers

MOST = 1_100_000  # bytes that a body may have
JSON = {"content-type": "application/json"}
PACKED = zlib.compress(b'{"text":"' + b"a" * 30_000_000 + b'"}')


def fill(before: bytes, piece: bytes, after: bytes = b"") -> bytes:
    """As many pieces as a body holds, between a beginning and an end."""
    return before + piece * ((MOST - len(before) - len(after)) // len(piece)) + after


def numbered(piece: bytes, count: int) -> bytes:
    """An object of that many fields; `piece` makes one of its number."""
    return b"{" + b",".join(piece % at for at in range(count)) + b"}"


BOMBS: dict[str, tuple[bytes, str | None]] = {
    "lists in lists": (fill(b"", b"["), None),
    "objects in objects": (fill(b"", b'{"a":'), "a"),
    "lists in a field": (fill(b'{"text":', b"["), "text"),
    "lists in ids": (fill(b'{"token_ids":', b"["), "token_ids"),
    "lists in lists that end": (b"[" * 500_000 + b"]" * 500_000, None),
    "a whole number without end": (fill(b'{"text":"a","top_k":', b"9", b"}"), "top_k"),
    "a negative number without end": (fill(b'{"text":"a","top_k":-', b"9", b"}"), "top_k"),
    "an id without end": (fill(b'{"token_ids":[', b"9", b"]}"), "token_ids"),
    "a fraction without end": (fill(b'{"text":"a","temperature":101.', b"0", b"1}"), "temperature"),
    "an exponent beyond all": (b'{"text":"a","temperature":1e999999999}', "temperature"),
    "an exponent without end": (fill(b'{"text":"a","temperature":1e', b"9", b"}"), "temperature"),
    "half a million ids": (fill(b'{"token_ids":[', b"1,", b"1]}"), "token_ids"),
    "half a million draws": (fill(b'{"text":"a","draws":[', b"0,", b"0]}"), "draws"),
    "half a million empty lists": (fill(b'{"text":"a","draws":[', b"[],", b"0]}"), "draws"),
    "a long name": (fill(b'{"', b"x", b'":1}'), "x" * 59 + "…"),
    "a long name in escapes": (fill(b'{"', rb"\u0078", b'":1}'), "x" * 59 + "…"),
    "a hundred thousand fields": (numbered(b'"%d":1', 100_000), "0"),
    "a field a hundred thousand times": (numbered(b'"text":"a%d"', 65_000), "text"),
    "a text in escapes": (fill(b'{"text":"', rb"\u0041", b'"}'), "text"),
    "a text of NUL": (fill(b'{"text":"', rb"\u0000", b'"}'), "text"),
    "a text of half characters": (fill(b'{"text":"', rb"\ud800", b'"}'), "text"),
    "a text of emoji in escapes": (fill(b'{"text":"', rb"\ud83d\ude00", b'"}'), "text"),
    "a text that never ends": (fill(b'{"text":"', b"a"), None),
    "a text of a million bytes": (fill(b'{"text":"', b"a ", b'"}'), "text"),
    "bytes that are no text": (fill(b'{"text":"', b"\xff", b'"}'), "text"),
    "blanks": (fill(b"", b" "), None),
    "blanks and an object": (fill(b"", b" ", b"{}"), "text"),
    "two bytes for each character": ('{"text":"a"}'.encode("utf-16-le") * 40_000, None),
}


@pytest.fixture(scope="module")
def guard(tiers: Tiers) -> Iterator[Guarded]:
    """All bombs go off within one guard: a body may be held a few times over, and as many ids, but not for each."""
    with guarded(tiers, inference_mb=200) as watched:
        yield watched


def post(tiers: Tiers, body: bytes | str, headers: Mapping[str, str] = JSON) -> httpx.Response:
    """The answer to a question with this body."""
    return tiers.web.post("/api/next-token", content=body, headers=headers)


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb(tiers: Tiers, guard: Guarded, name: str) -> None:
    body, field = BOMBS[name]
    assert len(body) <= MOST
    answer = post(tiers, body)
    told = answer.json()
    assert (answer.status_code, told["code"], told.get("field")) == (400, "invalid_argument", field), told
    assert len(told["error"]) < 600


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_a_body_is_never_unpacked(tiers: Tiers, guard: Guarded, coding: str) -> None:
    answer = post(tiers, PACKED, JSON | {"content-encoding": coding})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_argument")


def test_a_byte_too_many(tiers: Tiers, guard: Guarded) -> None:
    answer = post(tiers, b" " * (MOST + 1))
    assert answer.status_code == 413


def test_the_most_that_may_be_asked_for_is_answered(tiers: Tiers, guard: Guarded) -> None:
    query = {
        "model": "bundled",
        "token_ids": [at % 4000 for at in range(500)],
        "top_k": 1000,
        "draws": [at / 1000 for at in range(1000)],
        "watch_token_ids": list(range(32)),
        "include_partition": True,
        "include_prompt_tokens": True,
    }
    answer = post(tiers, json.dumps(query))
    told = answer.json()
    assert (len(told["candidates"]), len(told["drawn"]), len(told["watched"])) == (1000, 1000, 32)
    assert sum(each["probability"] for each in told["candidates"]) + told["other_probability"] == pytest.approx(1)
