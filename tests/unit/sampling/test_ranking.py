"""Where a cumulative distribution passes a point, beside a sort of everything."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from inference_server.sampling.ranking import Ranking, Side, compiled, plain

NUMBERS = st.one_of(st.floats(-40, 40), st.sampled_from([0.0, 1.0, 1e30, -1e30, -math.inf]))


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    weights = np.exp(logits - logits.max())
    found: NDArray[np.float64] = weights / weights.sum()
    return found


def check(logits: NDArray[np.float64], points: list[float]) -> None:
    weights = softmax(logits)
    ranking, order = Ranking(-logits, weights), np.argsort(-logits, kind="stable")
    cumulated = np.cumsum(weights[order])
    for point in points:
        for side in ("left", "right"):
            (found,) = ranking.crossings([point], side)
            assert order[found.rank - 1] == found.place
            assert found.cumulated == pytest.approx(cumulated[found.rank - 1], abs=1e-13)
            assert weights[found.place] > 0
            before = cumulated[found.rank - 2] if found.rank > 1 else 0.0
            assert before <= point + 1e-13
            assert found.cumulated >= min(point, float(cumulated[-1])) - 1e-13


@settings(deadline=None)
@given(st.lists(NUMBERS, min_size=1, max_size=300).filter(lambda n: max(n) > -math.inf), st.lists(st.floats(0, 1)))
def test_the_token_at_a_point(logits: list[float], points: list[float]) -> None:
    check(np.array(logits), points)


@pytest.mark.parametrize("scale", [0.0, 1e-6, 0.5, 4.0, 40.0, 1e6])
def test_whatever_the_spread_of_a_large_vocabulary(scale: float) -> None:
    draw = np.random.default_rng(3)
    logits = draw.normal(size=49_152) * scale
    logits[draw.integers(len(logits), size=99)] = -math.inf
    check(logits, [0.0, *draw.random(50).tolist(), 1 - 2**-53, 1.0])


@pytest.mark.parametrize("scale", [0.0, 1e-6, 4.0, 1e6])
def test_keys_in_float32_of_a_large_vocabulary_are_compiled(scale: float) -> None:
    draw = np.random.default_rng(5)
    logits = (draw.normal(size=49_153) * scale).astype(np.float32)
    logits[draw.integers(len(logits), size=99)] = -math.inf
    weights = softmax(logits.astype(np.float64))
    assert compiled() is not None
    keys = np.negative(logits)
    (bins, sums), (wanted, total) = (each(keys, keys.min(), 1000.0, weights) for each in (compiled() or plain, plain))
    assert bins.tolist() == wanted.tolist()
    assert sums == pytest.approx(total, rel=1e-12, abs=1e-300)
    order = np.argsort(keys, kind="stable")
    cumulated, ranking = np.cumsum(weights[order]), Ranking(keys, weights)
    for point in draw.random(50).tolist():
        (found,) = ranking.crossings([point], "left")
        assert order[found.rank - 1] == found.place
        assert found.cumulated == pytest.approx(cumulated[found.rank - 1], abs=1e-13)


@pytest.mark.parametrize("side", ["left", "right"])
def test_many_points_are_found_as_one_is(side: Side) -> None:
    draw = np.random.default_rng(4)
    logits = draw.normal(size=5000)
    ranking, points = Ranking(-logits, softmax(logits)), draw.random(1000).tolist()
    assert [each.place for each in ranking.crossings(points, side)] == [ranking.crossing(p, side).place for p in points]


def test_a_point_on_a_boundary_belongs_to_the_token_before_or_behind_it() -> None:
    ranking = Ranking(np.array([1.0, 0.0, 2.0]), np.array([0.25, 0.5, 0.25]))
    assert [ranking.crossing(0.5, side).place for side in ("left", "right")] == [1, 0]
    assert [ranking.crossing(1.0, side).place for side in ("left", "right")] == [2, 2]
