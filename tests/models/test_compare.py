"""Comparing two questions of real engines: true against plain transformers in float64, on every architecture, over
tokenizers that differ, in one pass where one is enough, and refused by side."""

import math
import time
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from inference_server.attention.batch import Segment
from inference_server.compare_messages import CompareAnswer, ComparedQuestion, CompareQuery
from inference_server.errors import DeadlineExpired, InvalidField
from models.architectures import ARCHITECTURES
from models.conftest import Cell
from models.test_truth import PROBABILITY

MakeCell = Callable[[str, str], Cell]
BITS = 2e-3  # logits are true to 1e-4 or so; the divergences of the logits we have, to 1e-5: test_divergence.py
IDS = (7, 30, 8, 120)


def row(at: Cell, ids: tuple[int, ...], temperature: float = 1.0) -> Tensor:
    """Plain transformers' distribution."""
    return (at.plain(ids)[-1].double() / temperature).softmax(0)


def bits(p: Tensor, q: Tensor) -> float:
    return float(torch.where(p > 0, p * (p / q).log2(), 0.0).sum())


def assert_differ(answer: CompareAnswer, p: Tensor, q: Tensor) -> None:
    """The answer says how these two differ."""
    middle = (p + q) / 2
    assert answer.kl_a_b_bits == pytest.approx(bits(p, q), abs=BITS)
    assert answer.kl_b_a_bits == pytest.approx(bits(q, p), abs=BITS)
    assert answer.js_bits == pytest.approx((bits(p, middle) + bits(q, middle)) / 2, abs=BITS)
    assert answer.total_variation == pytest.approx(float((p - q).abs().sum()) / 2, abs=PROBABILITY)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
async def test_two_prompts_differ_as_transformers_says(cell: MakeCell, architecture: str) -> None:
    at = cell(architecture, "byte_bpe")
    query = CompareQuery(ComparedQuestion(token_ids=IDS), ComparedQuestion(token_ids=IDS[:3], temperature=0.7), 5, True)
    answer = await at.engine.compare(query, at.engine, None)
    p, q = row(at, IDS), row(at, IDS[:3], 0.7)
    assert_differ(answer, p, q)
    for token in (*answer.candidates, *answer.gained, *answer.lost):
        assert token.a is not None
        assert token.b is not None
        assert token.a.token_id == token.b.token_id == token.token.token_id
        assert token.a.probability == pytest.approx(float(p[token.a.token_id]), abs=PROBABILITY)
        assert token.b.probability == pytest.approx(float(q[token.b.token_id]), abs=PROBABILITY)
        assert token.token == at.vocabulary.token(token.a.token_id, IDS)
    best = answer.gained[0]
    assert best.b is not None
    assert best.a is not None
    assert best.b.probability - best.a.probability == pytest.approx(float((q - p).max()), abs=PROBABILITY)
    assert (answer.unmatched.a, answer.unmatched.b, answer.matched_by_bytes) == (0, 0, False)
    assert [token.token_id for token in answer.a.prompt_tokens] == [*IDS]
    assert (answer.b.token_count, answer.b.vocab_size) == (3, len(q))
    assert answer.a.entropy_bits == pytest.approx(float(torch.special.entr(p).sum()) / math.log(2), abs=1e-3)


async def test_models_of_one_tokenizer_are_compared_by_id(cell: MakeCell) -> None:
    one, other = cell("llama", "byte_bpe"), cell("gpt2", "byte_bpe")
    query = CompareQuery(ComparedQuestion(token_ids=IDS), ComparedQuestion(token_ids=IDS))
    answer = await one.engine.compare(query, other.engine, None)
    assert not answer.matched_by_bytes
    assert_differ(answer, row(one, IDS), row(other, IDS))
    assert (answer.a.model, answer.b.model) == ("llama byte_bpe", "gpt2 byte_bpe")


async def test_models_of_different_tokenizers_are_compared_by_bytes(cell: MakeCell) -> None:
    one, other = cell("llama", "byte_bpe"), cell("qwen3", "sentencepiece_bpe")
    query = CompareQuery(ComparedQuestion(text="Tom and"), ComparedQuestion(text="Tom and"), 100)
    answer = await one.engine.compare(query, other.engine, None)
    assert answer.matched_by_bytes

    def spelled(at: Cell) -> dict[tuple[Any, ...], float]:
        ids = tuple(at.vocabulary.encode("Tom and"))
        found: dict[tuple[Any, ...], float] = {}
        for token_id, probability in enumerate(row(at, ids).tolist()):
            token = at.vocabulary.token(token_id, ids)
            nameless = token.is_special and not token.bytes
            name = (at.kind, token_id) if nameless else (token.bytes, token.is_special)
            found[name] = found.get(name, 0.0) + probability
        return found

    p, q = spelled(one), spelled(other)
    both = sorted(p.keys() & q.keys())
    assert answer.unmatched.a == pytest.approx(sum(p[name] for name in p.keys() - q.keys()), abs=PROBABILITY)
    assert answer.unmatched.b == pytest.approx(sum(q[name] for name in q.keys() - p.keys()), abs=PROBABILITY)
    assert 0.01 < answer.unmatched.b < 0.99
    shared = [torch.tensor([side[name] for name in both], dtype=torch.float64) for side in (p, q)]
    assert_differ(answer, *(side / side.sum() for side in shared))
    for token in answer.candidates:
        if token.token.is_special and not token.token.bytes:
            assert None in (token.a, token.b)
            continue
        name = (token.token.bytes, token.token.is_special)
        assert (token.a is None, token.b is None) == (name not in p, name not in q)
        for place, side in ((token.a, p), (token.b, q)):
            if place is not None:
                assert place.probability == pytest.approx(side[name], abs=PROBABILITY)
                assert place.rank == pytest.approx(1 + sum(other > side[name] for other in side.values()), abs=1)
    assert any(token.a is None for token in answer.candidates)


async def test_one_prompt_at_two_temperatures_costs_one_pass(cell: MakeCell, monkeypatch: pytest.MonkeyPatch) -> None:
    at = cell("gpt2", "byte_bpe")
    at.forget()
    runner, passes = at.engine.executor.model.runner, list[list[Segment]]()
    assert runner is not None
    compute = runner.run

    def counting(segments: list[Segment], *more: Any) -> Any:
        passes.append(segments)
        return compute(segments, *more)

    monkeypatch.setattr(runner, "run", counting)
    query = CompareQuery(ComparedQuestion(token_ids=(9,)), ComparedQuestion(token_ids=(9,), temperature=0.5))
    answer = await at.engine.compare(query, at.engine, time.monotonic() + 60)
    assert [segment.token_ids for segment in passes[0]] == [(9,)]
    assert [tuple(segment.token_ids) for each in passes for segment in each].count((9,)) == 1
    assert_differ(answer, row(at, (9,)), row(at, (9,), 0.5))
    assert answer.timings.total_ms >= answer.timings.model_ms > 0


async def test_refusals_name_the_side(cell: MakeCell) -> None:
    at = cell("gpt2", "byte_bpe")
    fine = ComparedQuestion(token_ids=IDS)
    for a, b, field in [
        (fine, ComparedQuestion(), "b.text"),
        (ComparedQuestion(text="a" * 500), fine, "a.text"),
        (fine, ComparedQuestion(token_ids=(5,) * 65), "b.token_ids"),
        (fine, ComparedQuestion(token_ids=IDS, min_p=2), "b.min_p"),
    ]:
        with pytest.raises(InvalidField) as refused:
            await at.engine.compare(CompareQuery(a, b), at.engine, None)
        assert refused.value.field == field
    with pytest.raises(DeadlineExpired):
        await at.engine.compare(CompareQuery(ComparedQuestion(token_ids=(3, 9, 4)), fine), at.engine, time.monotonic())
