"""How much more likely a token is than all others, or than another one, as logarithms of odds in nats."""

import math

import numpy as np
from torch import Tensor

from inference_server.errors import ComputeFailed


def log_odds(rows: Tensor, target: int, contrast: int | None = None) -> list[float]:
    """Of each row of logits (n, V) in float32: ln p(target) / (1 - p(target)), or ln p(target) / p(contrast).

    Infinite where one side has no probability. Raises ComputeFailed for NaN or plus infinity.
    """
    found = []
    for row in rows.numpy():
        if not math.isfinite(row.max()):  # NaN if any logit is
            raise ComputeFailed("the model returned NaN or infinite logits; its weights may be corrupt")
        own = float(row[target])
        other = _log_sum_of_others(row, target) if contrast is None else float(row[contrast])
        found.append(own - other if math.isfinite(own) or math.isfinite(other) else math.nan)
    return found


def _log_sum_of_others(row: "np.ndarray[tuple[int], np.dtype[np.float32]]", target: int) -> float:
    """Summed without the target: subtracting it from the whole sum would leave nothing where it has nearly all."""
    others = np.delete(row, target)
    highest = others.max(initial=-np.inf)
    if highest == -np.inf:
        return -math.inf
    others -= highest
    return float(highest) + math.log(float(np.exp(others, out=others).sum(dtype=np.float64)))
