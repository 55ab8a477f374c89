"""Sums over the vocabulary at a grid of inverse temperatures, from which clients compute other temperatures."""

import math
from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from inference_server.messages import PartitionPoint
from inference_server.sampling.compiled import MANY, unless_it_differs

GRID_POINTS = 33
GRID_FIRST, GRID_LAST = 0.2, 10.0
INVERSE_TEMPERATURES = (
    *(GRID_FIRST * (GRID_LAST / GRID_FIRST) ** (i / (GRID_POINTS - 1)) for i in range(GRID_POINTS - 1)),
    GRID_LAST,
)
_TOLERANCE = 1e-5

Moments = list[tuple[float, float, float]]


def partition(logits: NDArray[np.float32], highest: float) -> list[PartitionPoint]:
    """Log-sum-exp of logit * b, and mean and variance of the logit, at each b of INVERSE_TEMPERATURES.

    `logits`: (V,) float32, minus infinity for excluded tokens. `highest`: their maximum.
    """
    below = np.subtract(logits, highest, dtype=np.float64)
    if below.min() == -math.inf:
        below = below[below > -math.inf]
    sums = compiled() if len(below) >= MANY else None
    return [
        PartitionPoint(b, highest * b + math.log(total), highest + mean, variance)
        for b, (total, mean, variance) in zip(INVERSE_TEMPERATURES, (sums or plain)(below), strict=True)
    ]


def at_zero(logits: NDArray[np.float32]) -> PartitionPoint:
    """The point at b = 0, where all tokens but excluded ones weigh the same: their number, and the logits' moments."""
    mean = float(logits.mean(dtype=np.float64))
    if mean == -math.inf:
        logits = logits[logits > -math.inf]
        mean = float(logits.mean(dtype=np.float64))
    away = np.subtract(logits, mean, dtype=np.float64)
    return PartitionPoint(0.0, math.log(len(away)), mean, float(np.einsum("i,i->", away, away)) / len(away))


def plain(below: NDArray[np.float64]) -> Moments:
    """At each b: the sum of e^(b · x), and the mean and variance of x with these weights; x <= 0."""
    found = []
    for b in INVERSE_TEMPERATURES:
        weights = np.exp(below * b)
        total = float(weights.sum())
        mean = float((weights * below).sum()) / total
        found.append((total, mean, float((weights * (below - mean) ** 2).sum()) / total))
    return found


@cache
def compiled() -> Callable[[NDArray[np.float64]], Moments] | None:
    """`plain` as a numba kernel, ten times as fast; None if numba is missing or its results differ."""
    return unless_it_differs("partition", _in_one_read, _agree)


def _in_one_read() -> Callable[[NDArray[np.float64]], Moments]:
    from inference_server.cpu.kernels import objects, team

    body, grid = team.body(objects.Kernel.MOMENTS), np.array(INVERSE_TEMPERATURES, dtype=np.float32)

    def sums(below: NDArray[np.float64]) -> Moments:
        numbers, threads = below.astype(np.float32), torch.get_num_threads()
        parts = np.zeros((threads, GRID_POINTS, 3))
        table = (numbers.ctypes.data, len(numbers), grid.ctypes.data, GRID_POINTS, parts.ctypes.data)
        body.run(np.array(table, dtype=np.int64), threads)
        total, first, second = parts.sum(0).T
        mean = first / total
        variance = np.maximum(second / total - mean * mean, 0.0)
        return list(zip(total.tolist(), mean.tolist(), variance.tolist(), strict=True))

    return sums


def _agree(sums: Callable[[NDArray[np.float64]], Moments]) -> bool:
    trial = np.linspace(-40, 0, 3001)
    return np.allclose(sums(trial), plain(trial), rtol=_TOLERANCE, atol=_TOLERANCE)
