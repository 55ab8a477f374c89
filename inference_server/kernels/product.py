"""x · wᵀ for a few rows of x: the weights are read from memory once, whatever the rows."""

from collections.abc import Callable
from functools import cache
from typing import Any

from numba import carray, njit

from inference_server.kernels.team import Body, here, size
from inference_server.kernels.tiles import FLOAT32, LANES, tile

PANEL = 4  # outputs over which all rows pass while their weights are near
SHARE = 8  # outputs are handed to threads in multiples of this many
WIDE = {2: 4, 3: 4, 4: 4} if LANES == 16 else {2: 4, 3: 2, 4: 2}  # outputs in a block of so many rows
MOST = max(WIDE)


@cache
def _panel(rows: int, kind: int) -> Callable[..., None]:
    """One row reads the weights in one stream; several rows take blocks of outputs and ask for the next block early."""
    outputs = WIDE.get(rows, 1)
    block = tile(rows, outputs, kind, depth=1 if rows > 1 else 4, ahead=rows > 1)
    single = tile(rows, 1, kind)
    weight_bytes = 4 if kind == FLOAT32 else 2

    @njit(nogil=True)
    def panel(x: int, x_stride: int, w: int, width: int, first: int, last: int, y: int, y_stride: int) -> None:
        o = first
        while o + outputs <= last:
            block(x, x_stride, w + o * width * weight_bytes, width, width, y + o * 4, y_stride)
            o += outputs
        while o < last:
            single(x, x_stride, w + o * width * weight_bytes, width, width, y + o * 4, y_stride)
            o += 1

    return panel


@cache
def product(kind: int) -> Callable[..., None]:
    """A numba function (x, x_stride, rows, w, width, first, last, y, y_stride): outputs first…last of every row."""
    one, two, three, four = (_panel(rows, kind) for rows in range(1, MOST + 1))

    @njit(nogil=True)
    def compute(
        x: int, x_stride: int, rows: int, w: int, width: int, first: int, last: int, y: int, y_stride: int
    ) -> None:
        if rows == 1:
            one(x, x_stride, w, width, first, last, y, y_stride)
            return
        o = first
        while o < last:
            stop = min(o + PANEL, last)
            m = 0
            while m < rows:
                passes = (rows - m + MOST - 1) // MOST
                count = (rows - m + passes - 1) // passes
                at, to = x + m * x_stride * 4, y + m * y_stride * 4
                if count == 2:
                    two(at, x_stride, w, width, o, stop, to, y_stride)
                elif count == 3:
                    three(at, x_stride, w, width, o, stop, to, y_stride)
                else:
                    four(at, x_stride, w, width, o, stop, to, y_stride)
                m += count
            o = stop

    return compute


@njit(nogil=True)
def bounds(outputs: int) -> tuple[int, int]:
    """The outputs of this thread's share."""
    parts = size()
    step = (outputs + parts * SHARE - 1) // (parts * SHARE) * SHARE
    first = min(outputs, here() * step)
    return first, min(outputs, first + step)


@cache
def product_body(kind: int) -> Body:
    """The product for a team. Table: x, x_stride, rows, w, width, outputs, y, y_stride."""
    compute = product(kind)

    def body(pointer: Any) -> None:
        table = carray(pointer, 8)
        first, last = bounds(table[5])
        compute(table[0], table[1], table[2], table[3], table[4], first, last, table[6], table[7])

    return Body(body)
