"""What a score takes and what it adds up to, on the bundled tokenizer and logits made by hand."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from inference_server.engine.score import Score
from inference_server.models import bundled
from inference_server.sequence import Sequence
from inference_server.tokenizer.tokenizer import ModelTokenizer

TOKENIZER = ModelTokenizer.load(bundled.FOLDER)
CONTEXT = 64
NOBODYS: Any = None  # no executor


def even(rows: int) -> torch.Tensor:
    """Logits by which every token is as likely as any other."""
    return torch.zeros(rows, TOKENIZER.size)


def run(score: Score) -> list[Any]:
    """Describes even logits for each of a score's sequences."""
    outputs = []
    for ids, describe, every_row in score.parts():
        sequence = Sequence(ids, NOBODYS, describe, every_row=every_row)
        for _ in range(len(ids) if every_row else 1):
            sequence.receive(even(1))
        assert sequence.done
        outputs += sequence.outputs
    return outputs


def test_every_token_counts_by_the_row_before_it() -> None:
    ids = tuple(TOKENIZER.encode("Once upon a time"))
    score = Score(ids, TOKENIZER, alternatives=2)
    answer = score.answer(run(score), CONTEXT)
    assert [token.candidate.token.token_id for token in answer.tokens] == list(ids)
    conditioned = [token for token in answer.tokens if not token.unconditioned]
    assert answer.total_logprob == pytest.approx(-len(conditioned) * math.log(TOKENIZER.size), rel=1e-6)
    assert answer.perplexity == pytest.approx(TOKENIZER.size, rel=1e-6)
    assert all(len(token.alternatives) == 2 for token in conditioned)
    size = sum(len(token.candidate.token.bytes) for token in conditioned if not token.candidate.token.is_special)
    assert answer.bits_per_byte == pytest.approx(len(conditioned) * math.log2(TOKENIZER.size) / size, rel=1e-6)


@pytest.mark.parametrize("ids", [(5,), (5, 6)])
def test_what_follows_nothing_is_unconditioned(ids: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TOKENIZER, "prefix", [])
    score = Score(ids, TOKENIZER, alternatives=0)
    assert len(list(score.parts())) == len(ids) - 1
    answer = score.answer(run(score), CONTEXT)
    assert [token.unconditioned for token in answer.tokens] == [True, *[False] * (len(ids) - 1)]
    assert answer.perplexity == pytest.approx(TOKENIZER.size if len(ids) > 1 else 1.0, rel=1e-6)


def test_the_first_token_follows_bos_where_texts_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TOKENIZER, "prefix", [TOKENIZER.bos_id])
    assert TOKENIZER.bos_id is not None
    first, others = Score((5, 6), TOKENIZER, 0).parts()
    assert (first[0], first[2]) == ((TOKENIZER.bos_id,), False)
    assert (others[0], others[2]) == ((5,), True)
    assert [ids for ids, _, _ in Score((TOKENIZER.bos_id, 6), TOKENIZER, 0).parts()] == [(TOKENIZER.bos_id,)]


def test_a_loss_beyond_any_number_is_infinite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TOKENIZER, "prefix", [])
    score = Score((5, 6), TOKENIZER, 0)
    (scored,) = run(score)
    hopeless = replace(scored, candidate=replace(scored.candidate, logprob=-1e9))
    assert score.answer([hopeless], CONTEXT).perplexity == math.inf
