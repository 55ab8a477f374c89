"""Where a cumulative distribution passes a point, found without sorting the vocabulary."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from inference_server.sampling.compiled import MANY, unless_it_differs

Binned = tuple[NDArray[np.int16], NDArray[np.float64]]
"""The bin of each key, and the weight of each bin."""
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
        lowest = keys.min()
        if mean is None:
            mean = float((weights * np.minimum(keys - lowest, _MOST)).sum()) / float(weights.sum())
        scale = _BINS / min(max(_SPAN * mean, _LEAST), _MOST)
        large = len(keys) >= MANY and keys.dtype == np.float32
        self._bins, sums = ((compiled() if large else None) or plain)(keys, lowest, scale, weights)
        self._cumulated: NDArray[np.float64] = np.cumsum(sums)

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


def plain(keys: NDArray[Any], lowest: float, scale: float, weights: NDArray[np.float64]) -> Binned:
    """Each key's bin, (key - lowest) · scale or the last one, and the bins' weights."""
    above = keys - lowest
    with np.errstate(over="ignore"):
        above *= scale
    bins = np.minimum(above, _BINS - 1, out=above).astype(np.int16)
    sums: Any = np.bincount(bins, weights, _BINS)
    return bins, sums


@cache
def compiled() -> Callable[..., Binned] | None:
    """`plain` of float32 keys as a numba kernel; None if numba is missing or its results differ."""
    return unless_it_differs("ranking", _in_two_reads, _agree)


def _in_two_reads() -> Callable[..., Binned]:
    from inference_server.cpu.kernels import objects, team

    body = team.body(objects.Kernel.BINS)

    def binned(keys: NDArray[np.float32], lowest: float, scale: float, weights: NDArray[np.float64]) -> Binned:
        keys, weights = np.ascontiguousarray(keys), np.ascontiguousarray(weights)
        bins, sums = np.empty(len(keys), dtype=np.int16), np.zeros(_BINS)
        scalars = np.array([lowest, scale, _BINS - 1], dtype=np.float32)
        arrays = (weights.ctypes.data, bins.ctypes.data, sums.ctypes.data)
        body.run(np.array((keys.ctypes.data, len(keys), scalars.ctypes.data, *arrays), dtype=np.int64), 1)
        return bins, sums

    return binned


def _agree(binned: Callable[..., Binned]) -> bool:
    keys = np.linspace(-3, 40, 3001, dtype=np.float32)
    (ours, weight), (theirs, wanted) = (
        each(keys, -3.0, 100.0, np.exp(-keys, dtype=np.float64)) for each in (binned, plain)
    )
    return bool((ours == theirs).all()) and np.allclose(weight, wanted, rtol=1e-12, atol=0)
