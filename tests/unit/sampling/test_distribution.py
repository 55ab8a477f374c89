"""From logits to an answer: checked against the definitions, at the edges of what floats can hold."""

import itertools
import math
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from inference_server.errors import ComputeFailed
from inference_server.sampling.distribution import Distribution, Kept
from inference_server.sampling.log_partition import INVERSE_TEMPERATURES

FINITE = st.floats(-200, 200, width=32)
LOGITS = st.lists(st.one_of(FINITE, st.sampled_from([0.0, 1.0])), min_size=1, max_size=40)  # with ties
TEMPERATURE = st.one_of(st.just(0.0), st.floats(1e-300, 100))


def row(*logits: float) -> Tensor:
    return torch.tensor(logits, dtype=torch.float32)


def of(logits: Sequence[float], temperature: float = 1.0) -> Distribution:
    return Distribution(row(*logits), temperature)


def ids(distribution: Distribution, count: int) -> list[int]:
    return [place.token_id for place in distribution.top(count)]


@given(LOGITS, st.data())
def test_candidates_rank_by_logit_then_by_id(logits: list[float], data: st.DataObject) -> None:
    count = data.draw(st.integers(1, len(logits)))
    exact = row(*logits).tolist()
    expected = sorted(range(len(exact)), key=lambda i: (-exact[i], i))[:count]
    found = of(logits).top(count)
    assert [place.token_id for place in found] == expected
    assert [place.rank for place in found] == list(range(1, count + 1))


@given(LOGITS, TEMPERATURE)
def test_the_log_sum_exp_is_that_of_the_logits_whatever_the_temperature(
    logits: list[float], temperature: float
) -> None:
    expected = row(*logits).double().logsumexp(0).item()
    assert of(logits, temperature).log_sum_exp == pytest.approx(expected, abs=1e-9)
    assert of(logits).log_sum_exp == pytest.approx(expected, abs=1e-9)


def test_ties_at_the_edge_go_to_the_lowest_ids() -> None:
    assert ids(of([1, 2, 1, 1, 3, 1]), 4) == [4, 1, 0, 2]
    assert ids(of([5.0] * 300), 7) == [0, 1, 2, 3, 4, 5, 6]


@given(LOGITS, TEMPERATURE, st.floats(0.01, 1), st.floats(0, 1), st.integers(0, 3))
def test_nothing_is_ever_nan_and_everything_sums_to_one(
    logits: list[float], temperature: float, top_p: float, min_p: float, shown: int
) -> None:
    distribution = of(logits, temperature)
    places = distribution.top(len(logits))
    probabilities = [place.probability for place in places]
    assert math.fsum(probabilities) == pytest.approx(1, abs=1e-9)
    assert probabilities == sorted(probabilities, reverse=True)
    assert all(place.logprob <= 0 and not math.isnan(place.logprob) for place in places)
    assert 0 <= distribution.entropy_bits <= math.log2(len(logits)) + 1e-9
    top = places[: min(shown, len(places))]
    rest = distribution.other_probability(top)
    assert 0 <= rest <= 1
    assert rest + math.fsum(place.probability for place in top) == pytest.approx(1, abs=1e-9)
    kept = distribution.keep(top_p, min_p)
    assert 1 <= kept.count <= len(logits)
    assert 0 < kept.probability <= 1


@given(LOGITS, st.floats(0.05, 100))
def test_probabilities_are_the_softmax(logits: list[float], temperature: float) -> None:
    expected = torch.softmax(row(*logits).double() / temperature, 0)
    for place in of(logits, temperature).top(len(logits)):
        assert place.probability == pytest.approx(float(expected[place.token_id]), rel=1e-6, abs=1e-12)
        assert place.logit == float(row(*logits)[place.token_id])
        if place.probability > 1e-300:
            assert place.logprob == pytest.approx(math.log(place.probability), abs=1e-9)


def test_temperature_zero_is_the_greedy_limit() -> None:
    alone = of([1, 3, 2], 0).top(3)
    assert [place.probability for place in alone] == [1, 0, 0]
    assert [place.logprob for place in alone] == [0, -math.inf, -math.inf]
    assert of([1, 3, 2], 0).entropy_bits == 0
    shared = of([3, 1, 3, 3], 0)
    assert [place.probability for place in shared.top(4)] == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0])
    assert shared.entropy_bits == pytest.approx(math.log2(3))


@pytest.mark.parametrize("temperature", [5e-324, 1e-300, 1e-45, 1e-12])
def test_tiny_temperatures_come_to_the_same(temperature: float) -> None:
    greedy, tiny = of([3, 1, 3, -50], 0), of([3, 1, 3, -50], temperature)
    assert [place.probability for place in tiny.top(4)] == [place.probability for place in greedy.top(4)]
    assert tiny.entropy_bits == greedy.entropy_bits == 1
    assert tiny.keep(0.9, 0.5) == greedy.keep(0.9, 0.5) == Kept(2, 1.0)


@pytest.mark.parametrize("temperature", [1e-6, 1e-20, 1e-37])
def test_small_temperatures_are_taken_at_their_word(temperature: float) -> None:
    nearly, highest = row(0, temperature).tolist()
    expected = math.exp((nearly - highest) / temperature)
    first, second = of([0, temperature], temperature).top(2)
    assert second.probability / first.probability == pytest.approx(expected)


def test_a_logprob_is_the_logarithm_of_the_probability_given() -> None:
    held, lost = of([0, -740, -800]).top(3)[1:]
    assert held.probability > 0
    assert held.logprob == pytest.approx(-740)
    assert (lost.probability, lost.logprob) == (0, -math.inf)


def test_a_small_rest_keeps_its_digits() -> None:
    distribution = of([0, -40, -41])
    expected = math.exp(-40) + math.exp(-41)
    assert distribution.other_probability(distribution.top(1)) == pytest.approx(expected, rel=1e-9)
    assert distribution.other_probability(distribution.top(3)) == 0


@given(LOGITS, st.floats(0, 50), st.data())
def test_watched_tokens_rank_as_candidates_do(logits: list[float], temperature: float, data: st.DataObject) -> None:
    watched = data.draw(st.lists(st.integers(0, len(logits) - 1), max_size=5))
    distribution = of(logits, temperature)
    every = {place.token_id: place for place in distribution.top(len(logits))}
    assert distribution.places(watched) == [every[i] for i in watched]


# probabilities 0.4, 0.3, 0.2, 0.1 at ids 2, 0, 3, 1
FOUR = [math.log(p) for p in (0.3, 0.1, 0.4, 0.2)]


@pytest.mark.parametrize(
    ("top_p", "min_p", "count", "probability"),
    [
        (1.0, 0.0, 4, 1.0),
        (0.1, 0.0, 1, 0.4),
        (0.39, 0.0, 1, 0.4),
        (0.5, 0.0, 2, 0.7),  # the token that crosses the line is kept
        (0.95, 0.0, 4, 1.0),
        (1e-9, 0.0, 1, 0.4),
        (1.0, 0.2, 4, 1.0),
        (1.0, 0.6, 2, 0.7),
        (1.0, 1.0, 1, 0.4),
        (0.5, 0.3, 2, 0.7),
        (0.8, 0.6, 2, 0.7),  # both must keep a token
    ],
)
def test_cut_offs(top_p: float, min_p: float, count: int, probability: float) -> None:
    kept = of(FOUR).keep(top_p, min_p)
    assert kept.count == count
    assert kept.probability == pytest.approx(probability, abs=1e-6)


def test_a_line_that_is_met_exactly_is_not_crossed_again() -> None:
    assert of([0.0] * 10).keep(0.8, 0.0).count == 8
    assert of([0.0] * 4).keep(0.75, 1.0).count == 3


@given(LOGITS, st.floats(0.01, 0.999), st.floats(0, 1))
def test_the_fewest_tokens_that_reach_top_p_and_all_that_reach_min_p(
    logits: list[float], top_p: float, min_p: float
) -> None:
    distribution = of(logits)
    probabilities = [place.probability for place in distribution.top(len(logits))]
    count = distribution.keep(top_p, 0.0).count
    assert math.fsum(probabilities[:count]) >= top_p - 1e-9
    assert math.fsum(probabilities[: count - 1]) < top_p
    likely = distribution.keep(1.0, min_p).count
    assert all(p >= min_p * probabilities[0] * (1 - 1e-9) for p in probabilities[:likely])
    assert all(p <= min_p * probabilities[0] * (1 + 1e-9) for p in probabilities[likely:])
    assert distribution.keep(top_p, min_p).count == min(count, likely)


def test_draws_walk_down_the_kept_distribution() -> None:
    whole = of(FOUR)
    draws = [0.0, 0.39, 0.41, 0.69, 0.71, 0.89, 0.91, 1 - 2**-53]
    assert [place.token_id for place in whole.draw(draws, Kept(4, 1.0))] == [2, 2, 0, 0, 3, 3, 1, 1]
    cut = whole.draw([0.0, 0.57, 0.58, 1 - 2**-53], whole.keep(0.5, 0.0))  # 4/7 and 3/7
    assert [place.token_id for place in cut] == [2, 2, 0, 0]
    assert [place.rank for place in cut] == [1, 1, 2, 2]
    assert cut[0].probability == pytest.approx(0.4, abs=1e-6)  # uncut
    assert whole.draw([], Kept(4, 1.0)) == []


@given(LOGITS, TEMPERATURE, st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=5), st.floats(0.01, 1))
def test_a_draw_is_kept_and_possible(logits: list[float], temperature: float, draws: list[float], top_p: float) -> None:
    distribution = of(logits, temperature)
    kept = distribution.keep(top_p, 0.0)
    for place in distribution.draw(draws, kept):
        assert place.rank <= kept.count
        assert place.probability > 0


def test_many_draws_follow_the_distribution() -> None:
    steps = 1000
    places = of(FOUR).draw([i / steps for i in range(steps)], Kept(4, 1.0))
    counts = [sum(place.token_id == i for place in places) / steps for i in range(4)]
    assert counts == pytest.approx([0.3, 0.1, 0.4, 0.2], abs=0.002)


def test_the_grid_is_geometric_from_a_fifth_to_ten() -> None:
    assert len(INVERSE_TEMPERATURES) == 33
    assert INVERSE_TEMPERATURES[0] == 0.2
    assert INVERSE_TEMPERATURES[-1] == 10
    ratios = [b / a for a, b in itertools.pairwise(INVERSE_TEMPERATURES)]
    assert ratios == pytest.approx([50 ** (1 / 32)] * 32)


@given(LOGITS)
def test_the_partition_gives_any_probability_and_the_entropy(logits: list[float]) -> None:
    distribution = of(logits, 0.0)  # whatever the temperature asked
    exact = row(*logits).double()
    for point in distribution.partition():
        b = point.inverse_temperature
        p = torch.softmax(exact * b, 0)
        assert point.log_sum_exp == pytest.approx(float(torch.logsumexp(exact * b, 0)), rel=1e-9, abs=1e-9)
        mean = float(p @ exact)
        assert point.mean_logit == pytest.approx(mean, rel=1e-9, abs=1e-9)
        assert point.variance == pytest.approx(float(p @ (exact - mean) ** 2), rel=1e-6, abs=1e-9)
        assert point.variance >= 0
        entropy = float(torch.special.entr(p).sum())
        assert point.log_sum_exp - b * point.mean_logit == pytest.approx(entropy, abs=1e-6)


def test_a_quintic_between_the_points_gives_temperatures_to_the_promised_digits() -> None:
    """What the page does: from value, slope and curvature at two neighbours to log-sum-exp between them."""
    logits = torch.randn(2000, generator=torch.Generator().manual_seed(1)) * 4
    points = Distribution(logits, 1.0).partition()
    for left, right in itertools.pairwise(points):
        for share in (0.25, 0.5, 0.75):
            h = right.inverse_temperature - left.inverse_temperature
            b, t = left.inverse_temperature + share * h, share
            found = (
                left.log_sum_exp * (1 - 10 * t**3 + 15 * t**4 - 6 * t**5)
                + left.mean_logit * h * (t - 6 * t**3 + 8 * t**4 - 3 * t**5)
                + left.variance * h * h * (t**2 - 3 * t**3 + 3 * t**4 - t**5) / 2
                + right.log_sum_exp * (10 * t**3 - 15 * t**4 + 6 * t**5)
                + right.mean_logit * h * (-4 * t**3 + 7 * t**4 - 3 * t**5)
                + right.variance * h * h * (t**3 - 2 * t**4 + t**5) / 2
            )
            assert found == pytest.approx(float(torch.logsumexp(logits.double() * b, 0)), abs=1e-4)


def test_minus_infinity_rules_a_token_out() -> None:
    distribution = of([1, -math.inf, 1])
    assert [place.probability for place in distribution.top(3)] == [0.5, 0.5, 0]
    assert distribution.entropy_bits == 1
    assert all(math.isfinite(p.log_sum_exp + p.mean_logit + p.variance) for p in distribution.partition())
    assert Distribution(row(1, -math.inf), 0).top(2)[1].probability == 0


@pytest.mark.parametrize(
    "logits", [[math.nan, 1.0], [1.0, math.nan], [math.inf, 0.0], [-math.inf, -math.inf], [math.inf, math.nan]]
)
@pytest.mark.parametrize("temperature", [0, 1])
def test_output_that_is_no_distribution_is_an_error(logits: list[float], temperature: float) -> None:
    with pytest.raises(ComputeFailed, match="NaN or infinite logits"):
        Distribution(row(*logits), temperature)


def test_divergence_is_that_of_the_definition() -> None:
    logits = torch.tensor([[0.0, 1.5, -2.0, 3.0], [1.0, 1.0, 0.5, -4.0]])
    some, others = (Distribution(row, 1.0) for row in logits)
    p, q = logits.double().softmax(-1)
    assert some.kl_bits(others) == pytest.approx(float((p * (p / q).log2()).sum()), abs=1e-9)
    assert others.kl_bits(some) == pytest.approx(float((q * (q / p).log2()).sum()), abs=1e-9)
    assert some.kl_bits(some) == some.kl_bits(Distribution(logits[0], 1.0)) == 0


def test_divergence_where_tokens_are_excluded() -> None:
    some = Distribution(torch.tensor([0.0, 0.0, -math.inf]), 1.0)
    every = Distribution(torch.tensor([0.0, 0.0, 0.0]), 1.0)
    assert some.kl_bits(every) == pytest.approx(math.log2(1.5))
    assert every.kl_bits(some) == math.inf
    assert some.kl_bits(Distribution(torch.tensor([0.0, 1.0, -math.inf]), 1.0)) < 1
    greedy = Distribution(torch.tensor([0.0, 1.0, 2.0]), 0)
    assert greedy.kl_bits(Distribution(torch.tensor([0.0, 1.0, 2.0]), 1.0)) > 0
