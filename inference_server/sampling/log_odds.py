"""How much more likely a token is than all others, or than another one, as logarithms of odds in nats."""

import math
from typing import Any

import numpy as np
from torch import Tensor

from inference_server.errors import ComputeFailed

Row = np.ndarray[tuple[int], np.dtype[np.float32]]


def log_odds(rows: Tensor, target: int, contrast: int | None = None) -> list[float]:
    """Of each row of logits (n, V) in float32: ln p(target) / (1 - p(target)), or ln p(target) / p(contrast).

    Infinite where one side has no probability. Raises ComputeFailed for NaN or plus infinity.
    """
    found, weights = [], np.empty(rows.shape[1], dtype=np.float32)
    for row in rows.numpy():
        highest, own = row.max(), row[target]
        if not math.isfinite(highest):  # NaN if any logit is
            raise ComputeFailed("the model returned NaN or infinite logits; its weights may be corrupt")
        other = _log_sum_of_others(row, target, highest, weights) if contrast is None else row[contrast]
        found.append(float(own) - float(other) if math.isfinite(own) or math.isfinite(other) else math.nan)
    return found


def _log_sum_of_others(row: Row, target: int, highest: Any, weights: Row) -> float:
    """Summed without the target: subtracting it from the whole sum would leave nothing where it has nearly all.

    `highest` is that of all logits; `weights` is written.
    """
    if row[target] == highest:
        highest = max(row[:target].max(initial=-np.inf), row[target + 1 :].max(initial=-np.inf))
        if highest == -np.inf:
            return -math.inf
    np.subtract(row, highest, out=weights)
    weights[target] = -np.inf
    return float(highest) + math.log(float(np.exp(weights, out=weights).sum(dtype=np.float64)))
