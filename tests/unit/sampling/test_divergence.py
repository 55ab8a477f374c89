"""How two distributions differ: against torch in float64 over the whole vocabulary, and at the edges."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from inference_server.sampling.distribution import Distribution
from inference_server.sampling.divergence import Difference, Side

V = 5000
EXACT = 1e-5

LOGITS = st.lists(st.one_of(st.floats(-40, 40, width=32), st.sampled_from([0.0, 1.0])), min_size=5, max_size=5)
SAMPLING = st.tuples(st.sampled_from([0.0, 1e-3, 0.5, 1.0, 3.0, 100.0]), st.floats(0.01, 1), st.floats(0, 1))


def side(logits: Tensor, t: float = 1.0, p: float = 1.0, m: float = 0.0, units: Any = None, total: int = 0) -> Side:
    units = range(len(logits)) if units is None else units
    return Side(Distribution(logits, t), p, m, units, total or len(logits))


def same(a: Side, b: Side) -> Difference:
    """Over one vocabulary."""
    return Difference(a, b, len(a.logprobs))


def sampled(logits: Tensor, temperature: float, top_p: float, min_p: float) -> Tensor:
    """The distribution as torch has it in float64: the whole softmax, then the cuts."""
    p = (logits.double() / temperature).softmax(0)
    order = p.argsort(descending=True, stable=True)
    within = (p[order].cumsum(0) - p[order] < top_p - 1e-12) | (top_p == 1)
    p = torch.zeros_like(p).index_put((order[within],), p[order[within]]).where(p >= min_p * p.max(), 0)
    return p / p.sum()


def bits(p: Tensor, q: Tensor) -> float:
    """Kullback-Leibler divergence."""
    return float(torch.where(p > 0, p * (p / q).log2(), 0.0).sum())


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((1.0, 1.0, 0.0), (1.0, 1.0, 0.0)),
        ((0.5, 1.0, 0.0), (2.0, 1.0, 0.0)),
        ((1.0, 0.9, 0.0), (1.0, 1.0, 0.0)),
        ((1.0, 1.0, 0.02), (1.3, 0.8, 0.01)),
    ],
)
def test_all_divergences_are_those_of_torch_in_float64(
    a: tuple[float, float, float], b: tuple[float, float, float]
) -> None:
    chance = torch.Generator().manual_seed(4)
    one, other = (torch.randn(V, generator=chance) * 3 for _ in range(2))
    found, (p, q) = same(side(one, *a), side(other, *b)).divergences(), (sampled(one, *a), sampled(other, *b))
    middle = (p + q) / 2
    assert found.kl_a_b_bits == pytest.approx(bits(p, q), abs=EXACT)
    assert found.kl_b_a_bits == pytest.approx(bits(q, p), abs=EXACT)
    assert found.js_bits == pytest.approx((bits(p, middle) + bits(q, middle)) / 2, abs=EXACT)
    assert found.total_variation == pytest.approx(float((p - q).abs().sum()) / 2, abs=EXACT)


@given(LOGITS, LOGITS, SAMPLING, SAMPLING)
def test_nothing_is_nan_and_both_ways_agree(one: list[float], other: list[float], a: Any, b: Any) -> None:
    here, there = side(torch.tensor(one), *a), side(torch.tensor(other), *b)
    found, back = same(here, there).divergences(), same(there, here).divergences()
    assert (found.kl_a_b_bits, found.kl_b_a_bits) == (back.kl_b_a_bits, back.kl_a_b_bits)
    assert found.kl_a_b_bits >= 0  # which NaN is not
    assert 0 <= found.js_bits <= 1
    assert 0 <= found.total_variation <= 1
    assert found.js_bits == pytest.approx(back.js_bits)
    assert 0 <= here.entropy_bits <= math.log2(5) + 1e-9
    alike = same(here, here).divergences()
    assert (alike.kl_a_b_bits, alike.total_variation) == (0, 0)
    assert alike.js_bits == pytest.approx(0, abs=1e-12)


def test_what_only_one_side_gives_is_infinitely_far() -> None:
    whole, cut = torch.tensor([2.0, 1.0, 0.0]), side(torch.tensor([2.0, 1.0, 0.0]), p=0.5)
    found = same(side(whole), cut).divergences()
    assert found.kl_a_b_bits == math.inf
    assert found.kl_b_a_bits == pytest.approx(-math.log2(float(whole.softmax(0)[0])))
    apart = same(side(whole, 0.0), side(whole.flip(0), 0.0)).divergences()
    assert (apart.kl_a_b_bits, apart.kl_b_a_bits, apart.js_bits, apart.total_variation) == (math.inf, math.inf, 1, 1)


def test_a_divergence_too_small_for_probabilities_is_still_finite() -> None:
    """In float64 e**-2000 is 0, but its logarithm is not minus infinity."""
    found = same(side(torch.tensor([0.0, -1.0])), side(torch.tensor([0.0, -1.0]), 5e-4)).divergences()
    p = 1 / (1 + math.e)
    assert found.kl_a_b_bits == pytest.approx((p * (math.log(p) + 2000) + (1 - p) * math.log(1 - p)) / math.log(2))


def test_tokens_that_gained_and_lost_are_those_of_a_full_sort() -> None:
    chance = torch.Generator().manual_seed(5)
    one, other = (torch.randn(V, generator=chance) * 3 for _ in range(2))
    found = same(side(one), side(other))
    change = other.double().softmax(0) - one.double().softmax(0)
    assert found.gained(7) == change.argsort(descending=True)[:7].tolist()
    assert found.lost(7) == change.argsort()[:7].tolist()
    assert same(side(one), side(one)).gained(7) == []
    assert len(found.gained(V)) + len(found.lost(V)) == V
    tops = [set(logits.argsort(descending=True)[:7].tolist()) for logits in (one, other)]
    assert set(found.top(7)) == tops[0] | tops[1]
    best = torch.maximum(one.double().softmax(0), other.double().softmax(0))
    assert [float(best[unit]) for unit in found.top(7)] == sorted((float(best[i]) for i in found.top(7)), reverse=True)


@given(LOGITS, LOGITS)
def test_overlap_counts_what_is_among_the_first_of_both(one: list[float], other: list[float]) -> None:
    here, there = side(torch.tensor(one)), side(torch.tensor(other))
    expected = [len({*here.order[:n].tolist()} & {*there.order[:n].tolist()}) for n in range(1, 6)]
    assert same(here, there).overlap(5) == expected
    assert same(here, there).overlap(9) == expected


def test_ranks_are_those_of_the_logits_whatever_is_cut() -> None:
    logits = torch.tensor([0.5, 3.0, 0.5, -math.inf, 2.0])
    for found in (side(logits), side(logits, 0.0), side(logits, p=0.01)):
        places = [found.place(unit) for unit in range(5)]
        assert [place and place.rank for place in places] == [3, 1, 4, 5, 2]
        assert places[3] is not None
        assert (places[3].probability, places[3].logprob) == (0, -math.inf)


def test_tokens_that_are_the_same_are_added_up() -> None:
    """Units 0 and 1 are on both sides; 2 is only on the first, 3 only on the second, which has unit 0 three times."""
    one, other = torch.tensor([1.0, 2.0, 0.0]), torch.tensor([1.0, 1.5, 1.2, -math.inf, 1.0])
    a, b = side(one, units=[1, 0, 2], total=4), side(other, units=[0, 1, 0, 0, 3], total=4)
    p, q = one.double().softmax(0), other.double().softmax(0)
    assert a.probabilities == pytest.approx(np.array([p[1], p[0], p[2], 0]))
    assert b.probabilities == pytest.approx(np.array([q[0] + q[2], q[1], 0, q[4]]))
    assert [a.place(3), b.place(2)] == [None, None]
    merged = b.place(0)
    assert merged is not None
    assert (merged.token_id, merged.rank) == (2, 1)  # together likelier than the likeliest token, and named after 2
    found = Difference(a, b, 2)
    assert found.unmatched == pytest.approx((float(p[2]), float(q[4])))
    shared = torch.stack([torch.stack([p[1], p[0]]), torch.stack([q[0] + q[2], q[1]])])
    shared /= shared.sum(1, keepdim=True)
    assert found.divergences().kl_a_b_bits == pytest.approx(bits(shared[0], shared[1]))
    assert found.top(4) == [0, 1, 3, 2]  # unmatched ones too
    assert set(found.gained(4)) | set(found.lost(4)) <= {0, 1}


def test_sides_without_anything_in_common_are_as_far_as_can_be() -> None:
    a, b = side(torch.zeros(2), units=[1, 2], total=5), side(torch.zeros(2), units=[3, 4], total=5)
    found = Difference(a, b, 0)
    apart = found.divergences()
    assert (apart.kl_a_b_bits, apart.kl_b_a_bits, apart.js_bits, apart.total_variation) == (math.inf, math.inf, 1, 1)
    assert found.unmatched == (1, 1)
    assert (found.gained(3), found.lost(3), found.overlap(3)) == ([], [], [0, 0])
