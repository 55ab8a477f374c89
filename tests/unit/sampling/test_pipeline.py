"""Steps in a row: what each is told to have left, and that the three old filters are the same as steps."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inference_server.errors import InvalidField
from inference_server.sampler_messages import Amount, Ban, LogitBias, Sampled, Sampler, SamplerResult, TextMask
from inference_server.sampling.distribution import Distribution
from inference_server.sampling.pipeline import Pipeline
from inference_server.sampling.pool import History

ROW = torch.tensor([0.4, 0.3, 0.2, 0.1]).log()
LOGITS = st.lists(st.one_of(st.floats(-40, 40, width=32), st.sampled_from([0.0, 1.0])), min_size=1, max_size=300)
FILTERS = st.tuples(st.sampled_from([0.3, 1.0, 3.0, 100.0]), st.floats(0.01, 1), st.floats(0, 1))
DRAWS = [0.0, 0.1, 0.5, 0.9, 1 - 2**-53]


def test_each_step_tells_what_it_left() -> None:
    steps: list[Sampler] = [Amount("top_k", 3), Amount("temperature", 0.5), Ban((0,)), Amount("top_p", 0.6)]
    found = Pipeline(ROW, steps, History())
    assert [result.count for result in found.results] == [3, 3, 2, 1]
    shares = [0.9, 1.0, 1 - 16 / 29, 9 / 13]
    assert [result.probability for result in found.results] == pytest.approx(shares, rel=1e-6)
    assert [found.sampled(i).fell_at for i in range(4)] == [2, None, 3, 0]
    assert found.sampled(1) == Sampled(1.0, 0.0)
    assert found.sampled(0) == Sampled(0.0, -math.inf, 2)
    assert found.entropy_bits == 0


def test_no_steps_leave_everything() -> None:
    found = Pipeline(ROW, [], History())
    assert (found.results, found.kept.tolist()) == ([], [0, 1, 2, 3])
    assert np.exp(found.logprobs()) == pytest.approx([0.4, 0.3, 0.2, 0.1])


def test_the_likeliest_are_those_after_all_steps() -> None:
    found = Pipeline(ROW, [LogitBias((3,), (5.0,)), Amount("top_k", 3)], History())
    assert found.likeliest(10) == [3, 0, 1]
    assert found.draw([0.0, 0.999]) == [3, 1]
    assert found.draw([]) == []


def test_a_step_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(InvalidField, match=r"samplers: step 1 \(ban\) leaves no token"):
        Pipeline(ROW, [Amount("top_k", 1), Ban((0,))], History())


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_mask_is_a_step_at_any_place(place: int) -> None:
    steps: list[Sampler] = [Amount("top_k", 3), Amount("temperature", 1.0)]
    steps.insert(place, TextMask("regex", ("a",), np.array([False, True, False, True])))
    found = Pipeline(ROW, steps, History())
    left = [2, 2, 2] if place == 0 else [3, 1, 1] if place == 1 else [3, 3, 1]
    assert [result.count for result in found.results] == left
    assert found.results[place].probability == pytest.approx(0.4 if place == 0 else 3 / 9)
    assert [found.sampled(i).fell_at for i in (0, 2)] == [place, place]
    with pytest.raises(InvalidField, match=r"samplers: step 0 \(mask\) leaves no token"):
        Pipeline(ROW, [TextMask("regex", ("a",), np.zeros(4, dtype=bool))], History())


def test_excluded_tokens_are_not_in_play() -> None:
    found = Pipeline(torch.tensor([0.0, -torch.inf, 0.0]), [Amount("min_p", 0.0)], History())
    assert found.results == [SamplerResult(2, 1.0)]
    assert found.sampled(1) == Sampled(0.0, -math.inf)


@settings(deadline=None)
@given(LOGITS, FILTERS)
def test_the_three_filters_are_the_same_as_steps(logits: list[float], filters: tuple[float, float, float]) -> None:
    temperature, top_p, min_p = filters
    row = torch.tensor(logits)
    before = Distribution(row, temperature)
    kept = before.keep(top_p, min_p)
    steps = [Amount("temperature", temperature), Amount("top_p", top_p), Amount("min_p", min_p)]
    after = Pipeline(row, steps, History())
    share = math.prod(result.probability for result in after.results)
    assert share == pytest.approx(before.total_of(after.kept), rel=1e-6)
    if len(after.kept) != kept.count:  # in the last bits
        edge = before.top(max(len(after.kept), kept.count))[min(len(after.kept), kept.count)]
        ratio = edge.probability / before.top(1)[0].probability
        assert ratio == pytest.approx(min_p, rel=1e-9) or kept.probability == pytest.approx(top_p, rel=1e-9)
        return
    drawn = [token.token_id for token in before.draw(DRAWS[:4], kept)]
    ours = after.draw(DRAWS[:4])
    cumulated = np.cumsum([token.probability for token in before.top(kept.count)]) / kept.probability
    for draw, mine, theirs in zip(DRAWS, ours, drawn, strict=False):
        assert mine == theirs or np.abs(cumulated - draw).min() < 1e-9
    np.testing.assert_allclose(after.logprobs(), before.sampled(kept), rtol=1e-9, atol=1e-9)
