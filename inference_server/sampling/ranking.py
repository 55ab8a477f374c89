"""Where a cumulative distribution passes a point, found without sorting the vocabulary."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Side = Literal["left", "right"]
"""Whether a cumulative weight passes a point by reaching it or by exceeding it."""

_BINS = 4096
_SPAN = 8  # times the mean of the keys above the lowest, over which the bins are spread; the last one takes the rest
_SEVERAL = 64  # points; for more, sorting all tokens once is faster
_LEAST, _MOST = 1e-30, 1e30  # within float32


@dataclass(frozen=True, slots=True)
class Crossing:
    """The token at which a cumulative distribution passes a point."""

    place: int
    rank: int
    """From 1."""
    cumulated: float
    """The weight of all tokens up to it."""


class Ranking:
    """Tokens by ascending key, ties by place. Only those about the point asked for are sorted."""

    def __init__(self, keys: NDArray[Any], weights: NDArray[np.float64], mean: float | None = None) -> None:
        """`keys`: (V,), infinity only where the weight is 0; `weights`: (V,), not negative, and some positive.

        `mean`: about what the keys are above the lowest one, weighted, if that is known.
        """
        self._keys, self._weights = keys, weights
        above = keys - keys.min()
        if mean is None:
            mean = float((weights * np.minimum(above, _MOST)).sum()) / float(weights.sum())
        with np.errstate(over="ignore"):
            above *= _BINS / min(max(_SPAN * mean, _LEAST), _MOST)
        self._bins = np.minimum(above, _BINS - 1, out=above).astype(np.intp)
        self._cumulated: NDArray[np.float64] = np.cumsum(np.bincount(self._bins, weights, _BINS))

    def crossing(self, point: float, side: Side) -> Crossing:
        """The first token whose cumulative weight passes the point; else the last one that has a weight."""
        number = _first(self._cumulated, point, side)
        at = np.flatnonzero(self._bins == number)
        at = at[np.argsort(self._keys[at], kind="stable")]
        before = float(self._cumulated[number - 1]) if number else 0.0
        cumulated = before + np.cumsum(self._weights[at])
        place = _first(cumulated, point, side)
        rank = 1 + int(np.count_nonzero(self._bins < number)) + place
        return Crossing(int(at[place]), rank, float(cumulated[place]))

    def crossings(self, points: Sequence[float], side: Side) -> list[Crossing]:
        """As `crossing`, for each point."""
        if len(points) <= _SEVERAL:
            return [self.crossing(point, side) for point in points]
        order = np.argsort(self._keys, kind="stable")
        cumulated = np.cumsum(self._weights[order])
        places = np.minimum(np.searchsorted(cumulated, points, side), np.searchsorted(cumulated, cumulated[-1]))
        return [Crossing(int(order[at]), at + 1, float(cumulated[at])) for at in places.tolist()]


def _first(cumulated: NDArray[np.float64], point: float, side: Side) -> int:
    """Where it passes the point, at most the last place where it grows."""
    return min(int(np.searchsorted(cumulated, point, side)), int(np.searchsorted(cumulated, cumulated[-1])))
