"""The exponentials of a softmax in float64, and how they spread over ranges of keys, each in one read."""

from typing import Any

import numpy as np

from inference_server.cpu.kernels.intrinsics import array_of, as_float, doubles, floats, integers, jit

LOGITS, COUNT, SCALARS, WEIGHTS, SUMS, SIZE = range(6)
KEYS, _, _, _, BINS, SUMS_OF_BINS, BINS_SIZE = range(7)  # and COUNT, SCALARS, WEIGHTS
BLOCK = 1024  # numbers that are summed by themselves
_shorts = array_of(np.int16)
_LEAST = -746.0  # e to it is 0 in float64
_LOG2_E = 1.4426950408889634
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10


@jit(fastmath={"contract", "nsz"})
def _exponential(x: Any) -> Any:
    """e^x of a number up to 0, relative error 2e-16; 0 of minus infinity."""
    x = max(x, _LEAST)
    whole = np.floor(x * _LOG2_E + 0.5)
    r = x - whole * _LN2_HIGH
    r = r - whole * _LN2_LOW
    p = 1 / 6227020800.0
    p = p * r + 1 / 479001600.0
    p = p * r + 1 / 39916800.0
    p = p * r + 1 / 3628800.0
    p = p * r + 1 / 362880.0
    p = p * r + 1 / 40320.0
    p = p * r + 1 / 5040.0
    p = p * r + 1 / 720.0
    p = p * r + 1 / 120.0
    p = p * r + 1 / 24.0
    p = p * r + 1 / 6.0
    p = p * r + 0.5
    p = p * r * r + r + 1.0
    n = np.int32(whole)
    half = n >> np.int32(1)  # 2 to all of it may be no normal number
    return p * _power(half) * _power(n - half)


@jit
def _power(n: Any) -> Any:
    """2^n of a normal number."""
    return as_float((np.int64(n) + 1023) << 52)


@jit(fastmath={"reassoc", "contract", "nsz"})
def _block(logits: Any, count: Any, highest: Any, inverse: Any, weights: Any) -> Any:
    """Writes the weights of a block of logits; their sum, and that of weight · exponent."""
    x, found = floats(logits, count), doubles(weights, count)
    total, first = 0.0, 0.0
    for i in range(count):
        below = (np.float64(x[i]) - highest) * inverse
        weight = _exponential(below)
        found[i] = weight
        total += weight
        first += weight * max(below, _LEAST)
    return total, first


def weights(address: int) -> None:
    """Writes e^((logit - highest) · inverse temperature), and adds up these weights and weight · exponent."""
    table = integers(address, SIZE)
    scalars, sums = doubles(table[SCALARS], 2), doubles(table[SUMS], 2)
    for start in range(0, table[COUNT], BLOCK):
        count = min(BLOCK, table[COUNT] - start)
        total, first = _block(table[LOGITS] + start * 4, count, scalars[0], scalars[1], table[WEIGHTS] + start * 8)
        sums[0] += total
        sums[1] += first


def bins(address: int) -> None:
    """Writes the int16 bin of each float32 key, (key - lowest) · scale, and adds each weight to its bin's sum."""
    table = integers(address, BINS_SIZE)
    count, scalars = table[COUNT], floats(table[SCALARS], 3)
    keys, weights = floats(table[KEYS], count), doubles(table[WEIGHTS], count)
    found = _shorts(table[BINS], count)
    lowest, scale, last = scalars[0], scalars[1], scalars[2]
    for i in range(count):
        found[i] = np.int16(min((keys[i] - lowest) * scale, last))
    sums = doubles(table[SUMS_OF_BINS], int(last) + 1)
    for i in range(count):
        sums[found[i]] += weights[i]
