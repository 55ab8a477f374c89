"""x · wᵀ for a few rows of x: the weights are read from memory once, whatever the rows."""

from functools import cache
from typing import Any

import numpy as np
from numba import carray, njit

from inference_server.kernels.team import SOURCES, Body, here, size
from inference_server.kernels.tiles import BFLOAT16, FLOAT16, FLOAT32, LANES, strip

PANEL = 4  # outputs over which all rows pass while their weights are near
SHARE = 8  # outputs are handed to threads in multiples of this many
MOST = 4  # rows that pass together
_WIDE = 4 if LANES == 16 else 2  # outputs whose sums fit the registers beside so many rows

# one row reads the weights in one stream; several take blocks of outputs and ask for the next block early
_one = strip(1, 1, depth=4)
_two = strip(2, 4, ahead=True)
_three = strip(3, _WIDE, ahead=True)
_four = strip(4, _WIDE, ahead=True)


@njit(nogil=True)
def product(kind: Any, x: int, rows: int, w: int, width: int, first: int, last: int, y: int, y_stride: int) -> None:
    """Outputs first…last of every row. Addresses in bytes; x (rows, width), w (outputs, width), y (rows, y_stride)."""
    if rows == 1:
        _one(kind, x, w, width, first, last, y, y_stride)
        return
    for o in range(first, last, PANEL):
        stop = min(o + PANEL, last)
        m = 0
        while m < rows:
            passes = (rows - m + MOST - 1) // MOST
            count = (rows - m + passes - 1) // passes
            at, to = x + m * width * 4, y + m * y_stride * 4
            if count == 1:
                _one(kind, at, w, width, o, stop, to, y_stride)
            elif count == 2:
                _two(kind, at, w, width, o, stop, to, y_stride)
            elif count == 3:
                _three(kind, at, w, width, o, stop, to, y_stride)
            else:
                _four(kind, at, w, width, o, stop, to, y_stride)
            m += count


@njit(nogil=True)
def bounds(outputs: int) -> tuple[int, int]:
    """The outputs of this thread's share."""
    parts = size()
    step = (outputs + parts * SHARE - 1) // (parts * SHARE) * SHARE
    first = min(outputs, here() * step)
    return first, min(outputs, first + step)


@njit(nogil=True)
def _share(kind: Any, pointer: Any) -> None:
    table = carray(pointer, 7)
    first, last = bounds(table[4])
    product(kind, table[0], table[1], table[2], table[3], first, last, table[5], table[6])


@cache
def product_body(kind: int) -> Body:
    """The product for a team. Table: x, rows, w, width, outputs, y, y_stride."""
    sources = SOURCES

    def of_bfloat16(pointer: Any) -> None:
        if sources:
            _share(np.int8(0), pointer)

    def of_float16(pointer: Any) -> None:
        if sources:
            _share(np.int16(0), pointer)

    def of_float32(pointer: Any) -> None:
        if sources:
            _share(np.int32(0), pointer)

    return Body({BFLOAT16: of_bfloat16, FLOAT16: of_float16, FLOAT32: of_float32}[kind])
