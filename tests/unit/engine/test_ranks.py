"""Spearman's rank correlation, beside values worked out by hand and Pearson's of the ranks."""

import random
import statistics

import pytest

from inference_server.engine.ranks import correlation, ranks


def test_equal_values_share_their_rank() -> None:
    assert ranks([5.0, 1.0, 5.0, 9.0]) == [1.5, 0.0, 1.5, 3.0]


@pytest.mark.parametrize(
    ("some", "others", "expected"),
    [
        ([1, 2, 3], [10, 200, 3000], 1.0),
        ([1, 2, 3], [3, 2, 1], -1.0),
        ([1, 2, 3, 4], [1, 2, 4, 3], 0.8),  # 1 - 6 · 2 / (4 · 15)
        ([1, 2], [2, 1], None),
        ([1, 1, 1], [1, 2, 3], None),
    ],
)
def test_by_hand(some: list[float], others: list[float], expected: float | None) -> None:
    assert correlation(some, others) == (None if expected is None else pytest.approx(expected))


def test_beside_the_standard_library() -> None:
    chance = random.Random(1)
    some, others = ([float(chance.randrange(9)) for _ in range(40)] for _ in range(2))
    places = [[sum(b < a for b in each) + sum(b == a for b in each) / 2 for a in each] for each in (some, others)]
    assert correlation(some, others) == pytest.approx(statistics.correlation(*places))
