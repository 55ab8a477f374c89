"""Answers with sampler steps: the tokens' places before and after them, and what each step did."""

import math
from typing import Any

import pytest
import torch
from workers import FakeExecutor

from inference_server.engine.sampled import told
from inference_server.engine.top_k import TopK
from inference_server.errors import InvalidField
from inference_server.messages import ModelFacts, TopKAnswer, TopKQuery
from inference_server.models import bundled
from inference_server.sampler_messages import Amount, Ban, LogitBias, Penalty, Sampled
from inference_server.sequence import Sequence
from inference_server.tokenizer.tokenizer import ModelTokenizer


@pytest.fixture(scope="module")
def tokenizer() -> ModelTokenizer:
    return ModelTokenizer.load(bundled.FOLDER)


def answered(tokenizer: ModelTokenizer, **fields: Any) -> TopKAnswer:
    """The answer about a row whose logits fall from id to id, by log 2."""
    query = TopKQuery(token_ids=(5, 1), **fields)
    facts = ModelFacts(1, "cpu", "float32", tokenizer.size, 512, "Any")
    sequence = Sequence((5, 1), FakeExecutor("any", list), TopK(query, facts, tokenizer).describe)
    sequence.receive(-torch.arange(float(tokenizer.size))[None] * math.log(2))
    answer: TopKAnswer = told(sequence.outputs[0])
    return answer


def test_candidates_have_both_places(tokenizer: ModelTokenizer) -> None:
    steps = (Amount("top_k", 3), Ban((0,)), LogitBias((2,), (2 * math.log(2),)))
    answer = answered(tokenizer, samplers=steps, top_k=4, watch_token_ids=(2, 9), draws=(0.0, 0.7, 0.1))
    assert [each.token.token_id for each in answer.candidates] == [0, 1, 2, 3]
    assert [each.probability for each in answer.candidates] == pytest.approx([0.5, 0.25, 0.125, 0.0625])
    sampled = [each.sampled for each in answer.candidates]
    assert sampled[0] == Sampled(0.0, -math.inf, 1)
    assert sampled[3] == Sampled(0.0, -math.inf, 0)
    assert [each.probability for each in sampled if each] == pytest.approx([0, 1 / 3, 2 / 3, 0])
    assert answer.watched[0].sampled == sampled[2]
    assert [(each.token.token_id, each.rank) for each in answer.drawn] == [(2, 3), (1, 2), (2, 3)]
    assert answer.kept_count == 2
    assert answer.kept_probability == pytest.approx(0.375)
    assert answer.sampling is not None
    assert [step.count for step in answer.sampling.steps] == [3, 2, 2]
    assert [step.probability for step in answer.sampling.steps] == pytest.approx([0.875, 3 / 7, 1.0])
    assert [each.token.token_id for each in answer.sampling.likeliest] == [2, 1]
    assert answer.sampling.entropy_bits == pytest.approx(math.log2(3) - 2 / 3)


def test_the_answer_begins_where_it_is_said_to(tokenizer: ModelTokenizer) -> None:
    steps = (Penalty("presence_penalty", 2.0, ignore_prompt=True),)
    cases: tuple[tuple[int | None, set[int]], ...] = ((None, set()), (2, set()), (1, {1}), (0, {1, 5}))
    for start, punished in cases:
        answer = answered(tokenizer, samplers=steps, answer_start=start, top_k=7)
        lower = {each.token.token_id for each in answer.candidates if each.sampled.probability < each.probability}  # type: ignore[union-attr]
        assert lower == punished


def test_without_steps_nothing_is_told_of_them(tokenizer: ModelTokenizer) -> None:
    answer = answered(tokenizer)
    assert answer.sampling is None
    assert all(each.sampled is None for each in answer.candidates)


def test_a_step_that_leaves_nothing_is_refused_without_an_exception_on_the_worker(tokenizer: ModelTokenizer) -> None:
    with pytest.raises(InvalidField, match=r"step 1 \(ban\) leaves no token"):
        answered(tokenizer, samplers=(Amount("top_k", 1), Ban((0,))))
