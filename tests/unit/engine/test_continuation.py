"""One continuation: what it draws, and when it ends, above a real tokenizer and logits of the test's making."""

from typing import Any

import numpy as np
import pytest
import torch

from inference_server.engine.continuation import Continuation
from inference_server.errors import InvalidField
from inference_server.generate_messages import FinishReason, GeneratedSoFar, GenerateQuery
from inference_server.messages import Token
from inference_server.models import bundled
from inference_server.sampling.counter_rng import uniform
from inference_server.sequence import Sequence
from inference_server.tokenizer.tokenizer import ModelTokenizer

SEED = 4


@pytest.fixture(scope="module")
def tokenizer() -> ModelTokenizer:
    return ModelTokenizer.load(bundled.FOLDER)


def continuation(
    tokenizer: ModelTokenizer, so_far: GeneratedSoFar | None = None, limit: int = 99, stop_ids: Any = (), **fields: Any
) -> Continuation:
    query = GenerateQuery(**fields)
    return Continuation(so_far or GeneratedSoFar(2), (1, 2, 3), query, SEED, frozenset(stop_ids), tokenizer, limit)


def drawn(at: Continuation, logits: list[float]) -> Any:
    executor: Any = None
    (token,) = at.describe(Sequence(at.ids, executor, at.describe), torch.tensor([logits]))
    return token


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_a_token_is_drawn_where_seed_index_and_position_point(tokenizer: ModelTokenizer, temperature: float) -> None:
    at = continuation(tokenizer, temperature=temperature, top_k=2)
    logits = [0.0, 1.0, 3.0, 2.0, -1.0]
    for position in range(3, 40):
        token = drawn(at, logits)
        weights = np.exp(np.array([3.0, 2.0, 1.0, 0.0, -1.0]) / temperature)
        place = int(np.searchsorted(weights.cumsum() / weights.sum(), uniform(SEED, 2, position), side="right"))
        assert token.token.token.token_id == [2, 3, 1, 0, 4][place]
        assert token.token.rank == place + 1
        assert token.token.probability == pytest.approx(weights[place] / weights.sum())
        assert (token.index, [each.token.token_id for each in token.candidates]) == (2, [2, 3])
        assert at.add(token.token.token) is None


def test_only_kept_tokens_are_drawn(tokenizer: ModelTokenizer) -> None:
    ids = set()
    at = continuation(tokenizer, min_p=0.3)
    for _ in range(60):
        token = drawn(at, [0.0, 1.0, 3.0, 2.0]).token.token
        ids.add(token.token_id)
        at.add(token)
    assert ids == {2, 3}


def test_greedy_takes_the_first_of_equals(tokenizer: ModelTokenizer) -> None:
    at = continuation(tokenizer, temperature=0)
    assert {drawn(at, [0.0, 7.0, 7.0]).token.token.token_id for _ in range(3)} == {1}


def text_token(token_id: int, text: str) -> Token:
    return Token(token_id, text.encode(), is_special=False)


def test_it_ends_by_length_token_text_or_context(tokenizer: ModelTokenizer) -> None:
    at = continuation(tokenizer, max_tokens=2)
    assert at.add(text_token(5, "a")) is None
    end = at.add(text_token(6, "b"))
    assert end is not None
    assert (end.finish_reason, end.text, end.token_count, end.index) == (FinishReason.LENGTH, "ab", 2, 2)

    end = continuation(tokenizer, stop_ids=(5,)).add(Token(5, b"<|end|>", is_special=True))
    assert end is not None
    assert (end.finish_reason, end.stop_token_id, end.text) == (FinishReason.STOP_TOKEN, 5, "")

    at = continuation(tokenizer, stop=("cd",), stop_ids=(6,))
    assert at.add(text_token(5, "abc")) is None
    end = at.add(text_token(6, "de"))
    assert end is not None
    assert (end.finish_reason, end.stop_text, end.text) == (FinishReason.STOP_TEXT, "cd", "ab")

    end = continuation(tokenizer, limit=3).add(text_token(5, "a"))
    assert end is not None
    assert end.finish_reason is FinishReason.LENGTH


def test_a_special_token_is_no_text(tokenizer: ModelTokenizer) -> None:
    at = continuation(tokenizer, stop=("<|end|>", "ab"), max_tokens=3)
    assert at.add(text_token(1, "a")) is None
    assert at.add(Token(5, b"<|end|>", is_special=True)) is None
    end = at.add(text_token(1, "b"))
    assert end is not None
    assert (end.finish_reason, end.stop_text) == (FinishReason.STOP_TEXT, "ab")


def test_what_was_generated_before_counts(tokenizer: ModelTokenizer) -> None:
    ids = tuple(tokenizer.encode("Tom has"))
    at = continuation(tokenizer, GeneratedSoFar(2, ids), stop=("has a",))
    assert (at.ids, at.count) == ((1, 2, 3, *ids), len(ids))
    end = at.add(text_token(9, " a dog"))
    assert end is not None
    assert end.finish_reason is FinishReason.STOP_TEXT
    assert continuation(tokenizer, GeneratedSoFar(2, ids), max_tokens=len(ids)).finish is not None
    with pytest.raises(InvalidField, match="resume: continuation 2 ended after 2 tokens; more"):
        continuation(tokenizer, GeneratedSoFar(2, ids), stop=("Tom",))
