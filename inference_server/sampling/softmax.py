"""The exponentials of a softmax and their sums, compiled for large vocabularies."""

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from inference_server.sampling.compiled import unless_it_differs

Weights = tuple[NDArray[np.float64], float, float]
"""Of each token, the weight over that of the most likely one; their sum; the weighted mean of the exponents."""
Weigh = Callable[[NDArray[np.float32], float, float], Weights]
"""From (V,) logits, minus infinity for excluded tokens, their finite maximum, and the temperature."""


@cache
def compiled() -> Weigh | None:
    """As `distribution.weights`, where 1 / temperature is finite; None if numba is missing or its results differ."""
    return unless_it_differs("softmax", _in_one_read, _agree)


def _in_one_read() -> Weigh:
    from inference_server.cpu.kernels import objects, team

    body = team.body(objects.Kernel.WEIGHTS)

    def weigh(logits: NDArray[np.float32], highest: float, temperature: float) -> Weights:
        logits, weights, sums = np.ascontiguousarray(logits), np.empty(len(logits)), np.zeros(2)
        scalars = np.array([highest, 1 / temperature])
        table = (logits.ctypes.data, len(logits), scalars.ctypes.data, weights.ctypes.data, sums.ctypes.data)
        body.run(np.array(table, dtype=np.int64), 1)
        total, moment = sums.tolist()
        return weights, total, moment / total

    return weigh


def _agree(weigh: Weigh) -> bool:
    logits = np.linspace(-40, 3, 3001, dtype=np.float32)
    weights, total, mean = weigh(logits, 3.0, 0.7)
    exponents = (logits.astype(np.float64) - 3.0) / 0.7
    exact = np.exp(exponents)
    sums = exact.sum(), np.average(exponents, weights=exact)
    return np.allclose(weights, exact, rtol=1e-13, atol=0) and np.allclose((total, mean), sums, rtol=1e-12, atol=0)
