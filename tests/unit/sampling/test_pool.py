"""Tokens in play: their order, their probabilities, and what of the text a penalty counts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference_server.sampler_messages import PRESENCE, Penalty
from inference_server.sampling.pool import History, Pool

SCORES = st.lists(st.one_of(st.floats(-40, 40), st.sampled_from([0.0, 1.0])), min_size=1, max_size=400)


@settings(deadline=None)
@given(SCORES)
def test_the_highest_come_first_and_equal_ones_in_order(scores: list[float]) -> None:
    order = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
    assert Pool(np.arange(len(scores)), np.array(scores)).highest(5).tolist() == order[:5]


@settings(deadline=None)
@given(SCORES)
def test_probabilities_are_a_softmax(scores: list[float]) -> None:
    pool = Pool(np.arange(len(scores)), np.array(scores))
    p = np.exp(np.array(scores) - max(scores))
    p /= p.sum()
    assert pool.probabilities == pytest.approx(p)
    assert np.exp(pool.logprobs) == pytest.approx(p)
    assert pool.entropy == pytest.approx(-(p * np.log(p)).sum(), abs=1e-9)


@pytest.mark.parametrize(
    ("penalty", "counted"),
    [
        (Penalty(PRESENCE, 1.0), {5: 3, 6: 1, 7: 1}),
        (Penalty(PRESENCE, 1.0, last=2), {5: 1, 7: 1}),
        (Penalty(PRESENCE, 1.0, last=99), {5: 3, 6: 1, 7: 1}),
        (Penalty(PRESENCE, 1.0, ignore_prompt=True), {5: 2, 7: 1}),
        (Penalty(PRESENCE, 1.0, last=1, ignore_prompt=True), {7: 1}),
    ],
)
def test_the_span_of_a_penalty(penalty: Penalty, counted: dict[int, int]) -> None:
    ids, counts = History((5, 6, 5, 5, 7), 2).counted(penalty)
    assert dict(zip(ids.tolist(), counts.tolist(), strict=True)) == counted


def test_nothing_counts_where_there_is_no_answer_yet() -> None:
    ids, _ = History((5, 6), 2).counted(Penalty(PRESENCE, 1.0, last=3, ignore_prompt=True))
    assert not len(ids)
