"""A score's sequences, and the answer made of their outputs, over logits that say nothing of any token."""

import math
from typing import Any

import pytest
import torch
from workers import FakeExecutor

from inference_server.engine.score import Score
from inference_server.messages import ScoreAnswer
from inference_server.models import bundled
from inference_server.sequence import Sequence
from inference_server.tokenizer.tokenizer import ModelTokenizer


@pytest.fixture(scope="module")
def tokenizer() -> ModelTokenizer:
    return ModelTokenizer.load(bundled.FOLDER)


def answered(score: Score, size: int) -> ScoreAnswer:
    """As if each token had the same probability, told in rows of two."""
    outputs: list[Any] = []
    for ids, describe, every_row in score.parts():
        sequence = Sequence(ids, FakeExecutor("any", list), describe, every_row=every_row)
        rows = torch.zeros(len(ids) if every_row else 1, size)
        for part in rows.split(2):
            sequence.receive(part)
        assert sequence.done
        outputs += sequence.outputs
    return score.answer(outputs, 512)


@pytest.mark.parametrize("text", ["The", "The cat sat on the mat"])
@pytest.mark.parametrize("alternatives", [0, 3])
def test_a_text_that_nothing_is_known_of(tokenizer: ModelTokenizer, text: str, alternatives: int) -> None:
    assert tokenizer.begins
    ids, size = tuple(tokenizer.encode(text)[len(tokenizer.prefix) :]), tokenizer.size
    answer = answered(Score(ids, tokenizer, alternatives), size)
    assert [token.candidate.token.token_id for token in answer.tokens] == [*ids]
    assert not any(token.unconditioned for token in answer.tokens)  # the first follows the mark before texts
    assert {len(token.alternatives) for token in answer.tokens} == {alternatives}
    assert answer.total_logprob == pytest.approx(-len(ids) * math.log(size))
    assert answer.perplexity == pytest.approx(size)
    assert answer.bits_per_byte == pytest.approx(len(ids) * math.log2(size) / len(text))


def test_a_first_token_that_nothing_stands_before_has_no_numbers(tokenizer: ModelTokenizer) -> None:
    bos = tokenizer.bos_id
    assert bos is not None
    score = Score((bos, 300), tokenizer, 0)
    assert [(ids, every_row) for ids, _, every_row in score.parts()] == [((bos,), True)]
    answer = answered(score, tokenizer.size)
    assert [token.unconditioned for token in answer.tokens] == [True, False]
    assert answer.perplexity == pytest.approx(tokenizer.size)


def test_the_mark_alone_says_nothing(tokenizer: ModelTokenizer) -> None:
    assert tokenizer.bos_id is not None
    answer = answered(Score((tokenizer.bos_id,), tokenizer, 0), tokenizer.size)
    assert (answer.total_logprob, answer.perplexity, answer.bits_per_byte) == (0.0, 1.0, 0.0)
