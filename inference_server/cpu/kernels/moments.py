"""Sums over a vocabulary at several inverse temperatures in one read."""

from typing import Any

import numpy as np

from inference_server.cpu.kernels.intrinsics import doubles, floats, here, integers, jit, size
from inference_server.cpu.kernels.vectors import exponential

LOGITS, COUNT, GRID, POINTS, SUMS, SIZE = range(6)
BLOCK = 1024  # logits that stay in cache for all grid points


@jit(fastmath={"reassoc", "contract", "nsz"})
def _block(address: int, count: int, b: Any, sums: Any) -> None:
    """Adds Σ e^(b·x), Σ x·e^(b·x) and Σ x²·e^(b·x) of `count` numbers x <= 0."""
    x = floats(address, count)
    zeroth, first, second = np.float32(0), np.float32(0), np.float32(0)
    for i in range(count):
        weight = exponential(x[i] * b)
        zeroth += weight
        first += x[i] * weight
        second += x[i] * x[i] * weight
    sums[0] += zeroth
    sums[1] += first
    sums[2] += second


def moments(address: int) -> None:
    """Adds three float64 sums per thread and grid point to (threads, points, 3)."""
    table = integers(address, SIZE)
    points, grid = table[POINTS], floats(table[GRID], table[POINTS])
    blocks = (table[COUNT] + BLOCK - 1) // BLOCK
    own = table[SUMS] + here() * points * 3 * 8
    for block in range(blocks * here() // size(), blocks * (here() + 1) // size()):
        start = block * BLOCK
        count = min(BLOCK, table[COUNT] - start)
        for p in range(points):
            _block(table[LOGITS] + start * 4, count, grid[p], doubles(own + p * 3 * 8, 3))
