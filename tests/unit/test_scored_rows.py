"""Blocks of rows say what single distributions say."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inference_server.distribution import Distribution
from inference_server.errors import ComputeFailed
from inference_server.scored_rows import BLOCK, score_rows

VOCABULARY = 23
logit = st.one_of(st.sampled_from([0.0, 1.0, -math.inf, 50.0, -800.0]), st.floats(-30, 30, width=32))


@given(
    st.integers(1, 2 * BLOCK + 3).flatmap(
        lambda rows: st.tuples(
            st.lists(st.lists(logit, min_size=VOCABULARY, max_size=VOCABULARY), min_size=rows, max_size=rows).filter(
                lambda found: all(max(row) > -math.inf for row in found)
            ),
            st.lists(st.integers(0, VOCABULARY - 1), min_size=rows, max_size=rows),
        )
    ),
    st.integers(0, VOCABULARY),
)
def test_each_row_is_its_distribution(drawn: tuple[list[list[float]], list[int]], alternatives: int) -> None:
    logits, followed = torch.tensor(drawn[0]), drawn[1]
    scored = list(score_rows(logits, followed, alternatives))
    assert len(scored) == len(followed)
    for row, token, found in zip(logits, followed, scored, strict=True):
        alone = Distribution(row, 1.0)
        expected = [*alone.places([token]), *(alone.top(alternatives) if alternatives else [])]
        for one, other in zip([found.place, *found.alternatives], expected, strict=True):
            assert (one.token_id, one.rank, one.logit) == (other.token_id, other.rank, other.logit)
            assert one.probability == pytest.approx(other.probability, abs=1e-12)
            assert one.logprob == pytest.approx(other.logprob, abs=1e-9)
        assert found.entropy_bits == pytest.approx(alone.entropy_bits, abs=1e-9)


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_what_is_no_number_is_refused(wrong: float) -> None:
    logits = torch.zeros(3, VOCABULARY)
    logits[1, 4] = wrong
    with pytest.raises(ComputeFailed):
        list(score_rows(logits, [0, 0, 0], 1))
    with pytest.raises(ComputeFailed):
        list(score_rows(torch.full((1, VOCABULARY), -math.inf), [0], 0))
