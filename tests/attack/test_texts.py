"""Texts that trip up tokenizers and those who cut strings: each comes back byte for byte, with a whole distribution."""

import base64
from collections.abc import Iterator

import httpx
import pytest

from attack.guard import guarded
from attack.tiers import Tiers

TEXTS = {
    "zero-width joiners": "\u200d" * 100,
    "zero-width blanks": "a\u200bb\u200cc\ufeffd\u2060" * 20,
    "right to left": "\u202eאבג\u202c \u2067ابجد\u2069 \u200f" * 8,
    "combining marks": "e" + "\u0301" * 200,
    "family emoji": "👩‍👩‍👧‍👦🏳️‍🌈" * 6,
    "flags cut in two": "🇩🇪🇫" * 12,
    "NUL": "a\x00b\x00" * 60,
    "control characters": "".join(map(chr, range(32))) * 6 + "\x7f\x80\x9f",
    "not characters": "\ufffe\uffff\U0001fffe\U0010ffff\ufdd0" * 12,
    "private use": "\ue000\uf8ff\U000f0000" * 20,
    "a word without end": "a" * 400,
    "blanks without end": " " * 300 + "\t" * 30 + "\u00a0\u2003\u3000" * 20,
    "line ends of every kind": "a\r\nb\rc\nd\u2028e\u2029f\x0bg\x0ch\x85" * 10,
    "names of marks": "<|endoftext|><|im_start|></s>[INST]<pad><unk>",
    "capitals that fold": "İıſßẞΣςﬁǅ" * 12,
    "composed two ways": "\u00e9e\u0301\u212bA\u030a\u1100\u1161\uac00" * 10,
    "markup": "<script>alert(1)</script>{{7*7}}${jndi:ldap://x}';DROP TABLE--%s%n" * 4,
}
LONG = {
    "marks on one letter": "e" + "\u0301" * 10_000,
    "one word": "a" * 900_000,
    "one blank": " " * 900_000,
    "many scripts": "aאا漢🙂\u200d" * 50_000,
}


@pytest.fixture(scope="module", autouse=True)
def guard(tiers: Tiers) -> Iterator[None]:
    """A text of a million bytes becomes a list of ids a few times over, for one question at a time."""
    with guarded(tiers, inference_mb=400):
        yield


def ask(tiers: Tiers, text: str) -> httpx.Response:
    query = {"text": text, "model": "bundled", "include_prompt_tokens": True}
    return tiers.web.post("/api/next-token", json=query)


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_is_read_exactly(tiers: Tiers, name: str) -> None:
    answer = ask(tiers, TEXTS[name])
    told = answer.json()
    assert answer.status_code == 200, told
    tokens = told["prompt"]["tokens"]
    read = b"".join(base64.b64decode(token["bytes"]) for token in tokens if not token["is_special"])
    assert read.decode() == TEXTS[name].replace("<|endoftext|>", "")
    shares = [candidate["probability"] for candidate in told["candidates"]]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) + told["other_probability"] == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("name", LONG)
def test_a_text_that_is_too_long(tiers: Tiers, name: str) -> None:
    answer = ask(tiers, LONG[name])
    told = answer.json()
    assert (answer.status_code, told["code"], told["field"]) == (400, "invalid_argument", "text")
    assert "512" in told["error"]
