"""Rank correlation: whether two methods put the same things in the same order."""

import math
from collections.abc import Sequence

FEWEST = 3  # values below which an order says nothing


def correlation(some: Sequence[float], others: Sequence[float]) -> float | None:
    """Spearman's, with equal values sharing their mean rank; None for too few values, or where all are equal."""
    if len(some) < FEWEST:
        return None
    x, y = (_centred(ranks(values)) for values in (some, others))
    size = math.sqrt(math.fsum(a * a for a in x) * math.fsum(b * b for b in y))
    return math.fsum(a * b for a, b in zip(x, y, strict=True)) / size if size else None


def ranks(values: Sequence[float]) -> list[float]:
    """From 0 for the smallest; equal values share the mean of theirs."""
    order = sorted(range(len(values)), key=values.__getitem__)
    found, first = [0.0] * len(values), 0
    while first < len(order):
        end = first
        while end < len(order) and values[order[end]] == values[order[first]]:
            end += 1
        for at in order[first:end]:
            found[at] = (first + end - 1) / 2
        first = end
    return found


def _centred(values: Sequence[float]) -> list[float]:
    mean = math.fsum(values) / len(values)
    return [value - mean for value in values]
