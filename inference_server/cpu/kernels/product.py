"""x · wᵀ for a few rows of x, reading the weights from memory once; packed weights stay packed there."""

from functools import cache
from typing import Any

import numpy as np
from numba import carray, njit

from inference_server.cpu.kernels.kinds import KIND_TAGS, block, layout_of, widen
from inference_server.cpu.kernels.team import SOURCES, Body, address_of, here, invoke, size
from inference_server.cpu.kernels.tiles import LANES
from inference_server.cpu.kernels.vectors import floats

SHARE = 8  # outputs are divided among threads in multiples of this
MOST = 4  # rows per pass
NEAR = 256 * 1024  # bytes of rows, and of weights, that fit in a core's cache together
_WIDE = 4 if LANES == 16 else 2  # outputs whose sums fit in registers with MOST rows

_DEEP = 4  # registers per sum for a single row
_AHEAD = 4096  # prefetch distance in bytes for a single row

# a single row streams the weights; several rows take blocks of outputs; both prefetch
_one = block(1, 1, depth=_DEEP, ahead=True)
_two, _three, _four = (block(rows, _WIDE, ahead=True) for rows in (2, 3, 4))


@njit(nogil=True)
def product(kind: Any, x: int, rows: int, w: int, width: int, first: int, last: int, y: int, y_stride: int) -> None:
    """Outputs first…last of every row. x (rows, width), w (outputs, width), y (rows, y_stride) are addresses.

    Tiled so that the rows and weights of a tile stay in cache.
    """
    row_bytes = _row_bytes(kind, width)
    panel = max(MOST, NEAR // (width * 4) // MOST * MOST)
    piece = max(SHARE, last - first if rows <= panel else NEAR // row_bytes // SHARE * SHARE)
    for o in range(first, last, piece):
        for m in range(0, rows, panel):
            source, target = x + m * width * 4, y + m * y_stride * 4
            _panel(kind, source, min(panel, rows - m), w, width, o, min(last, o + piece), target, y_stride)


@njit(nogil=True)
def _panel(kind: Any, x: int, rows: int, w: int, width: int, first: int, last: int, y: int, y_stride: int) -> None:
    """One tile: all rows pass over a block of outputs while its weights are in cache, prefetching the next block."""
    row_bytes = _row_bytes(kind, width)
    numbers, size_, share = layout_of(kind)
    sums = np.empty(width // share if share else 1, dtype=np.float32)
    whole = first if rows == 1 else last - (last - first) % _WIDE
    passes = (rows + MOST - 1) // MOST
    steps = width // (LANES if numbers == 1 else numbers)
    single = _DEEP * LANES * size_ if numbers == 1 else size_  # bytes that one step of a single row reads
    pace = row_bytes * _WIDE // max(1, steps * passes)
    for o in range(first, whole, _WIDE):
        at = w + o * row_bytes
        following = at + row_bytes * _WIDE
        m = 0
        for left in range(passes, 0, -1):
            count = (rows - m + left - 1) // left
            source, target = x + m * width * 4, y + (m * y_stride + o) * 4
            if count == 2:
                _two(kind, source, at, width, target, y_stride, 0, following, pace)
            elif count == 3:
                _three(kind, source, at, width, target, y_stride, 0, following, pace)
            else:
                _four(kind, source, at, width, target, y_stride, 0, following, pace)
            following += steps * pace
            m += count
    for m in range(rows if whole < last else 0):
        source = x + m * width * 4
        if share:
            _sum_groups(source, share, sums)
        for o in range(whole, last):
            at, target = w + o * row_bytes, y + (m * y_stride + o) * 4
            _one(kind, source, at, width, target, y_stride, sums.ctypes.data, at + _AHEAD, single)


@njit(nogil=True, fastmath={"reassoc", "contract"})
def _sum_groups(x: int, share: int, sums: Any) -> None:
    """The sums of `share` neighbouring numbers each."""
    values = floats(x, len(sums) * share)
    for group in range(len(sums)):
        total = np.float32(0)
        for i in range(group * share, (group + 1) * share):
            total += values[i]
        sums[group] = total


@njit(nogil=True)
def bounds(outputs: int) -> tuple[int, int]:
    """This thread's range of outputs."""
    parts = size()
    step = (outputs + parts * SHARE - 1) // (parts * SHARE) * SHARE
    first = min(outputs, here() * step)
    return first, min(outputs, first + step)


@njit(nogil=True)
def _row_bytes(kind: Any, width: int) -> Any:
    numbers, size_, _share = layout_of(kind)
    return width // numbers * size_


@njit(nogil=True)
def _share(pointer: Any) -> None:
    table = carray(pointer, 8)
    first, last = bounds(table[4])
    invoke(table[7], table[0], table[1], table[2], table[3], first, last, table[5], table[6])


@njit(nogil=True)
def _widen_share(pointer: Any) -> None:
    table = carray(pointer, 6)
    w, width, rows, step, y = table[0], table[1], table[2], table[3], table[4]
    for row in range(rows * here() // size(), rows * (here() + 1) // size()):
        invoke(table[5], w + row * step, width, y + row * width * 4, 0, 0, 0, 0, 0)


@cache
def product_function(kind: int) -> int:
    """The address of `product` for one kind of weights, to be called by `invoke`."""
    sources, tag = SOURCES, KIND_TAGS[kind]

    def function(x: int, rows: int, w: int, width: int, first: int, last: int, y: int, y_stride: int) -> None:
        if sources:
            product(tag, x, rows, w, width, first, last, y, y_stride)

    return address_of(function)


@cache
def widen_function(kind: int) -> int:
    """The address of a function (w, width, y, and five numbers that are ignored) that widens a row of packed weights.

    As an address it looks like the product's, so that both can be called the same way.
    """
    sources, tag = SOURCES, KIND_TAGS[kind]

    def function(w: int, width: int, y: int, _3: int, _4: int, _5: int, _6: int, _7: int) -> None:
        if sources:
            widen(tag, w, width, y)

    return address_of(function)


@cache
def product_body() -> Body:
    """The product across threads. Table: x, rows, w, width, outputs, y, y_stride, address of its product_function."""
    sources = SOURCES

    def body(pointer: Any) -> None:
        if sources:
            _share(pointer)

    return Body(body)


@cache
def widen_body() -> Body:
    """Widens packed rows across threads. Table: w, width, rows, bytes per row, y, address of its widen_function."""
    sources = SOURCES

    def body(pointer: Any) -> None:
        if sources:
            _widen_share(pointer)

    return Body(body)
