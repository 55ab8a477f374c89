"""What a request may ask: every limit, from both sides, and what a refusal says."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from inference_server.compare_messages import ComparedQuestion, CompareQuery
from inference_server.engine.validation import (
    check_compare,
    check_depth,
    check_generate,
    check_grow,
    check_length,
    check_score,
    check_top_k,
)
from inference_server.errors import InvalidField
from inference_server.generate_messages import GenerateQuery
from inference_server.grow_messages import GrowQuery
from inference_server.messages import ScoreQuery, TopKQuery

VOCAB = 5000
TEXT_BYTES = 100


def top_k(vocab_size: int = VOCAB, **fields: Any) -> None:
    check_top_k(TopKQuery(**({"text": "a"} | fields)), vocab_size, TEXT_BYTES)


def score(**fields: Any) -> None:
    check_score(ScoreQuery(**({"text": "a"} | fields)), VOCAB, TEXT_BYTES)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"text": ""},
        {"text": "a" * TEXT_BYTES},
        {"text": "é" * (TEXT_BYTES // 2)},
        {"text": None, "token_ids": ()},
        {"text": None, "token_ids": (0, VOCAB - 1)},
        {"text": None, "parts": ("a" * 60, (0, VOCAB - 1), "b" * 40)},
        {"text": None, "parts": ((), "a")},
        {"text": None, "parts": ("",) * 100},
        {"top_k": 1},
        {"top_k": 1000},
        {"temperature": 0.0},
        {"temperature": -0.0},
        {"temperature": 5e-324},
        {"temperature": 100.0},
        {"top_p": 1.0},
        {"top_p": 5e-324},
        {"min_p": 0.0},
        {"min_p": 1.0},
        {"watch_token_ids": tuple(range(32))},
        {"watch_token_ids": (7, 7, VOCAB - 1)},
        {"draws": (0.0, math.nextafter(1, 0))},
        {"draws": (0.5,) * 1000},
        {"vocab_size": 3, "top_k": 3},
    ],
)
def test_what_is_allowed(fields: dict[str, Any]) -> None:
    top_k(**fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"text": None}, "text: exactly one of text, token_ids and parts must be given, got none"),
        ({"token_ids": (1,)}, "text: exactly one of text and token_ids must be given, got both"),
        ({"text": "a" * 101}, "text: must be at most 100 bytes of UTF-8, got 101"),
        ({"text": "é" * 51}, "text: must be at most 100 bytes of UTF-8, got 102"),
        ({"text": "ab\ud800c"}, "text: contains an unpaired surrogate at index 2"),
        ({"text": None, "token_ids": (1, -1)}, "token_ids: must be ids from 0 to 4,999, got -1 at index 1"),
        ({"text": None, "token_ids": (VOCAB,)}, "token_ids: must be ids from 0 to 4,999, got 5,000 at index 0"),
        ({"parts": ("a",)}, "parts: can't be given with text or token_ids"),
        ({"text": None, "token_ids": (), "parts": ("a",)}, "parts: can't be given with text or token_ids"),
        ({"text": None, "parts": ()}, "parts: must be from 1 to 100 parts, got 0"),
        ({"text": None, "parts": ("",) * 101}, "parts: must be from 1 to 100 parts, got 101"),
        (
            {"text": None, "parts": ("a" * 60, (1,), "b" * 41)},
            "parts: must be at most 100 bytes of UTF-8 together, got 101",
        ),
        ({"text": None, "parts": ((1,), "a\ud800")}, "parts: part 1 contains an unpaired surrogate at index 1"),
        (
            {"text": None, "parts": ("a", (1, VOCAB))},
            "parts: must be ids from 0 to 4,999, got 5,000 at index 1 of part 1",
        ),
        ({"top_k": 0}, "top_k: must be from 1 to 1,000, got 0"),
        ({"top_k": -1}, "top_k: must be from 1 to 1,000, got -1"),
        ({"top_k": 1001}, "top_k: must be from 1 to 1,000, got 1,001"),
        ({"top_k": 2**31 - 1}, "top_k: must be from 1 to 1,000, got 2,147,483,647"),
        ({"vocab_size": 3, "top_k": 4}, "top_k: must be from 1 to 3 (all of this model's vocabulary), got 4"),
        ({"temperature": -0.1}, "temperature: must be from 0 to 100, got -0.1"),
        ({"temperature": 100.001}, "temperature: must be from 0 to 100, got 100.001"),
        ({"temperature": 1e308}, "temperature: must be from 0 to 100, got 1e+308"),
        ({"temperature": math.nan}, "temperature: must be from 0 to 100, got nan"),
        ({"temperature": math.inf}, "temperature: must be from 0 to 100, got inf"),
        ({"temperature": -math.inf}, "temperature: must be from 0 to 100, got -inf"),
        ({"top_p": 0.0}, "top_p: must be above 0 and at most 1, got 0.0"),
        ({"top_p": 1.5}, "top_p: must be above 0 and at most 1, got 1.5"),
        ({"top_p": math.nan}, "top_p: must be above 0 and at most 1, got nan"),
        ({"min_p": -0.1}, "min_p: must be from 0 to 1, got -0.1"),
        ({"min_p": 1.1}, "min_p: must be from 0 to 1, got 1.1"),
        ({"min_p": math.nan}, "min_p: must be from 0 to 1, got nan"),
        ({"watch_token_ids": (0,) * 33}, "watch_token_ids: must be at most 32 ids, got 33"),
        ({"watch_token_ids": (1, VOCAB)}, "watch_token_ids: must be ids from 0 to 4,999, got 5,000 at index 1"),
        ({"watch_token_ids": (-1,)}, "watch_token_ids: must be ids from 0 to 4,999, got -1 at index 0"),
        ({"draws": (0.0,) * 1001}, "draws: must be at most 1,000 numbers, got 1,001"),
        ({"draws": (0.5, 1.0)}, "draws: must be at least 0 and below 1, got 1.0 at index 1"),
        ({"draws": (-1e-9,)}, "draws: must be at least 0 and below 1, got -1e-09 at index 0"),
        ({"draws": (math.nan,)}, "draws: must be at least 0 and below 1, got nan at index 0"),
        ({"draws": (math.inf,)}, "draws: must be at least 0 and below 1, got inf at index 0"),
    ],
)
def test_what_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidField) as refused:
        top_k(**fields)
    assert str(refused.value) == message
    assert refused.value.field == message.partition(":")[0]


@pytest.mark.parametrize(("count", "n"), [(0, 16), (100, 16), (101, 1), (1000, 1)])
def test_alternatives_of_a_generation_allowed(count: int, n: int) -> None:
    check_generate(GenerateQuery(text="a", top_k=count, n=n), VOCAB, TEXT_BYTES)


@pytest.mark.parametrize(
    ("count", "n", "message"),
    [
        (-1, 1, "top_k: must be from 0 to 1,000, got -1"),
        (1001, 1, "top_k: must be from 0 to 1,000, got 1,001"),
        (101, 2, "top_k: must be at most 100 with n = 2, got 101"),
    ],
)
def test_alternatives_of_a_generation_refused(count: int, n: int, message: str) -> None:
    with pytest.raises(InvalidField) as refused:
        check_generate(GenerateQuery(text="a", top_k=count, n=n), VOCAB, TEXT_BYTES)
    assert str(refused.value) == message


@pytest.mark.parametrize("count", [0, 1, 100])
def test_alternatives_allowed(count: int) -> None:
    score(top_k=count)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"top_k": -1}, "top_k: must be from 0 to 100, got -1"),
        ({"top_k": 101}, "top_k: must be from 0 to 100, got 101"),
        ({"text": None}, "text: exactly one of text and token_ids must be given, got none"),
        ({"text": None, "token_ids": (VOCAB,)}, "token_ids: must be ids from 0 to 4,999, got 5,000 at index 0"),
        ({"text": "a" * 101}, "text: must be at most 100 bytes of UTF-8, got 101"),
    ],
)
def test_what_a_score_refuses(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidField) as refused:
        score(**fields)
    assert str(refused.value) == message


def test_a_prompt_too_long_is_told_both_numbers() -> None:
    check_length("text", 512, 512)
    with pytest.raises(InvalidField, match=r"text: 1,513 tokens; this model's context window is 512"):
        check_length("text", 1513, 512)


@pytest.mark.parametrize("call", [top_k, score])
def test_messages_stay_short(call: Callable[..., None]) -> None:
    """Whatever was sent, for they travel in headers."""
    with pytest.raises(InvalidField) as refused:
        call(text="x" * 10_000_000)
    assert len(str(refused.value)) < 200


SIZES = (VOCAB, 40)


def compare(top_k: int = 10, **b: Any) -> None:
    query = CompareQuery(ComparedQuestion(text="a"), ComparedQuestion(**({"text": "a"} | b)), top_k)
    check_compare(query, SIZES, TEXT_BYTES)


@pytest.mark.parametrize("fields", [{}, {"top_k": 40}, {"temperature": 0.0}, {"text": None, "token_ids": (39,)}])
def test_what_a_comparison_allows(fields: dict[str, Any]) -> None:
    compare(**fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"top_k": 0}, "top_k: must be from 1 to 40 (all of this model's vocabulary), got 0"),
        ({"top_k": 41}, "top_k: must be from 1 to 40 (all of this model's vocabulary), got 41"),
        ({"text": None}, "b.text: exactly one of text and token_ids must be given, got none"),
        ({"text": None, "token_ids": (40,)}, "b.token_ids: must be ids from 0 to 39, got 40 at index 0"),
        ({"temperature": math.nan}, "b.temperature: must be from 0 to 100, got nan"),
        ({"top_p": 0.0}, "b.top_p: must be above 0 and at most 1, got 0.0"),
        ({"min_p": 1.1}, "b.min_p: must be from 0 to 1, got 1.1"),
    ],
)
def test_what_a_comparison_refuses_names_the_side(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidField) as refused:
        compare(**fields)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"depth": 0}, "depth: must be from 1 to 100, got 0"),
        ({"depth": 101}, "depth: must be from 1 to 100, got 101"),
        ({"max_nodes": 0}, "max_nodes: must be from 1 to 2,000, got 0"),
        ({"max_nodes": 2001}, "max_nodes: must be from 1 to 2,000, got 2,001"),
        ({"width": 0}, "width: must be from 1 to 32, got 0"),
        ({"width": 33}, "width: must be from 1 to 32, got 33"),
        ({"coverage": 0.0}, "coverage: must be above 0 and at most 1, got 0.0"),
        ({"coverage": 1.1}, "coverage: must be above 0 and at most 1, got 1.1"),
        ({"coverage": math.nan}, "coverage: must be above 0 and at most 1, got nan"),
        ({"text": None}, "text: exactly one of text and token_ids must be given, got none"),
    ],
)
def test_what_a_growth_refuses(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidField) as refused:
        check_grow(GrowQuery(**({"text": "a"} | fields)), VOCAB, TEXT_BYTES)
    assert str(refused.value) == message


def test_a_tree_has_to_fit_the_context_but_for_its_last_tokens() -> None:
    check_grow(GrowQuery(text="a", depth=100, max_nodes=2000, width=32, coverage=5e-324), VOCAB, TEXT_BYTES)
    check_depth(3, 62, 64)
    with pytest.raises(
        InvalidField, match=r"^depth: must be from 1 to 3 after a prompt of 62 tokens .* is 64\), got 4$"
    ):
        check_depth(4, 62, 64)
