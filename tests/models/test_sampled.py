"""Sampler steps over real engines: transformers' own processors over transformers' own logits give the same tokens and
probabilities, whether a prompt is computed alone, in a batch, ahead of time or again."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers.generation import logits_process

from inference_server.compare_messages import ComparedQuestion, CompareQuery
from inference_server.errors import InvalidField
from inference_server.generate_messages import GeneratedSoFar
from inference_server.messages import TopKQuery
from inference_server.sampler_messages import Amount, Ban, LogitBias, Penalty, Sampler, Xtc
from inference_server.sampling.counter_rng import XTC_COIN, uniform
from models.conftest import Cell
from models.test_compare import assert_differ, row
from models.test_generate import BOUNDARY, PROMPT, written
from models.test_truth import PROBABILITY

theirs: Any = logits_process  # its types know no plain tensors
MakeCell = Callable[[str, str], Cell]

STEPS: tuple[Sampler, ...] = (
    Penalty("repetition_penalty", 1.4, ignore_prompt=True),
    Penalty("presence_penalty", 0.5),
    Ban((PROMPT[0],)),
    Xtc(0.5, 0.002),
    Amount("temperature", 1.3),
    Amount("top_k", 60),
    Amount("typical_p", 0.9),
)


def reference(at: Cell, ids: Sequence[int], coin: float) -> Tensor:
    """STEPS over plain transformers' logits, by its own processors but for the two that it lacks."""
    scores, seen = at.plain(ids)[-1:].double(), torch.tensor([ids])
    scores = theirs.RepetitionPenaltyLogitsProcessor(1.4, prompt_ignore_length=len(PROMPT))(seen, scores)
    scores[0, list(set(ids))] -= 0.5
    scores = theirs.SuppressTokensLogitsProcessor([PROMPT[0]])(seen, scores)
    if coin < 0.5:
        above = (scores.softmax(-1)[0] >= 0.002).nonzero()[:, 0]
        least = above[scores[0, above].argmin()]
        scores[0, above[above != least]] = -torch.inf
    for processor in (
        theirs.TemperatureLogitsWarper(1.3),
        theirs.TopKLogitsWarper(60),
        theirs.TypicalLogitsWarper(0.9),
    ):
        scores = processor(seen, scores)
    p: Tensor = scores[0].softmax(-1)
    return p


def at_point(p: Tensor, draw: float) -> set[int]:
    """The token at a point of a distribution, or the two at whose boundary it lies."""
    order = p.sort(descending=True, stable=True).indices
    points = torch.tensor([max(0.0, draw - BOUNDARY), draw, min(draw + BOUNDARY, 1 - 1e-15)], dtype=torch.float64)
    return {
        int(order[min(int(place), len(p) - 1)]) for place in torch.searchsorted(p[order].cumsum(0), points, right=True)
    }


@pytest.mark.parametrize("architecture", ["llama", "bloom", "mamba"])
async def test_texts_are_sampled_as_transformers_processors_say(cell: MakeCell, architecture: str) -> None:
    at = cell(architecture, "byte_bpe")
    ids, _, tokens = await written(at, samplers=STEPS, seed=5, n=3, top_k=2)
    assert len({tuple(each) for each in ids.values()}) == 3
    for token in tokens:
        own = ids[token.index]
        count = sum(each.index == token.index for each in tokens[: tokens.index(token)])
        so_far = (*PROMPT, *own[:count])
        coin, draw = uniform(5, token.index, len(so_far), XTC_COIN), uniform(5, token.index, len(so_far))
        p = reference(at, so_far, coin)
        assert own[count] in at_point(p, draw)
        assert token.token.sampled is not None
        assert token.token.sampled.probability == pytest.approx(float(p[own[count]]), abs=PROBABILITY)
        assert token.token.probability == pytest.approx(float(row(at, so_far)[own[count]]), abs=PROBABILITY)
        assert token.sampling is not None
        assert token.sampling.steps[-1].count == token.kept_count == int((p > 0).sum())
        assert token.sampling.likeliest[0].token.token_id in at_point(p, 0.0)


async def test_top_k_draws_the_same_tokens_prefetched_or_not(cell: MakeCell) -> None:
    at = cell("llama", "byte_bpe")
    ids, _, tokens = await written(at, samplers=STEPS, seed=8)
    for count, token in enumerate(tokens):
        so_far = (*PROMPT, *ids[0][:count])
        coin = uniform(8, 0, len(so_far), XTC_COIN)
        query = TopKQuery(
            token_ids=so_far,
            samplers=tuple(Xtc(0.5, 0.002, coin) if isinstance(step, Xtc) else step for step in STEPS),
            answer_start=len(PROMPT),
            draws=(uniform(8, 0, len(so_far)),),
            watch_token_ids=(PROMPT[0],),
        )
        answer = await at.engine.top_k(query, None)
        assert answer.drawn[0] == token.token
        assert answer.sampling is not None
        assert token.sampling is not None
        assert answer.sampling.steps == token.sampling.steps
        assert answer.watched[0].sampled is not None
        assert answer.watched[0].sampled.fell_at == 2


async def test_a_stream_with_steps_goes_on_from_where_it_broke(cell: MakeCell) -> None:
    """The prompt's ids stay those that penalties ignore."""
    at = cell("llama", "byte_bpe")
    whole, _, _ = await written(at, samplers=STEPS, seed=9)
    at.forget()
    rest, _, _ = await written(at, samplers=STEPS, seed=9, resume=(GeneratedSoFar(0, tuple(whole[0][:3])),))
    assert rest == {0: whole[0][3:]}


async def test_greedy_steps_take_the_likeliest_whatever_the_seed(cell: MakeCell) -> None:
    at = cell("llama", "byte_bpe")
    ids, _, tokens = await written(at, samplers=(Amount("temperature", 0),), seed=1)
    assert ids == (await written(at, temperature=0))[0]
    assert all(token.kept_count == 1 for token in tokens)


async def test_steps_of_two_sides_are_compared(cell: MakeCell) -> None:
    at = cell("llama", "byte_bpe")
    steps = (LogitBias((4, 9), (2.0, -1.0)), Amount("top_k", 25), Amount("temperature", 0.7))
    query = CompareQuery(ComparedQuestion(token_ids=PROMPT), ComparedQuestion(token_ids=PROMPT, samplers=steps))
    answer = await at.engine.compare(query, at.engine, None)
    scores = at.plain(PROMPT)[-1].double()
    scores[[4, 9]] += torch.tensor([2.0, -1.0], dtype=torch.float64)
    scores = theirs.TopKLogitsWarper(25)(torch.zeros((1, 0)), scores[None]) / 0.7
    q = scores[0].softmax(-1)
    p = row(at, PROMPT)
    assert answer.kl_a_b_bits == float("inf")
    assert answer.total_variation == pytest.approx(float((p - q).abs().sum()) / 2, abs=PROBABILITY)
    assert [step.count for step in answer.b.steps] == [len(p), 25, 25]
    assert answer.b.kept_count == 25
    assert answer.b.kept_probability == pytest.approx(float(p[q > 0].sum()), abs=PROBABILITY)
    assert not answer.a.steps
    swapped = await at.engine.compare(CompareQuery(query.b, query.b), at.engine, None)
    assert_differ(swapped, q, q)


@pytest.mark.parametrize("asked", [{"answer_start": len(PROMPT) + 1}, {"answer_start": -1}])
async def test_the_answer_begins_within_the_prompt(cell: MakeCell, asked: Any) -> None:
    at = cell("llama", "byte_bpe")
    with pytest.raises(InvalidField, match="answer_start: must be from 0 to 5, got"):
        await at.engine.top_k(TopKQuery(token_ids=PROMPT, **asked), None)


async def test_nothing_left_is_refused_and_others_are_answered(cell: MakeCell) -> None:
    at = cell("llama", "byte_bpe")
    everything = (Amount("top_k", 1), Ban(tuple(range(at.engine.facts.vocab_size))[:1000]))
    bad = TopKQuery(token_ids=(*PROMPT, 1), samplers=everything)
    answers = await at.together(lambda: [at.engine.top_k(each, None) for each in (TopKQuery(token_ids=(*PROMPT, 2)),)])
    assert answers[0].token_count == 6
    with pytest.raises(InvalidField, match=r"samplers: step 1 \(ban\) leaves no token"):
        await at.engine.top_k(bad, None)
    with pytest.raises(InvalidField, match="leaves no token that may come next; broken off: continuation 0 after 0"):
        await written(at, samplers=everything)
