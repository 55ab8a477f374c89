"""x · wᵀ for a few rows of x, reading the weights from memory once; packed weights stay packed there."""

from collections.abc import Callable
from typing import Any

import numpy as np

from inference_server.cpu.kernels.intrinsics import allocate, floats, here, integers, invoke, jit, release, size
from inference_server.cpu.kernels.kinds import KIND_TAGS, block, layout_of, widen
from inference_server.cpu.kernels.layouts import FLOAT32
from inference_server.cpu.kernels.limbs import VECTOR, room_for, take_apart
from inference_server.cpu.kernels.processor import LANES
from inference_server.cpu.kernels.tables import MOST

SHARE = 8  # outputs are divided among threads in multiples of this
NEAR = 48 * 1024  # bytes of weights that stay in a core's cache while all rows pass over them
_DEEP = 2  # registers per sum for a single row
_STREAMS = 4  # outputs whose plain weights a single row reads side by side, which memory serves faster than one
_AHEAD = 4096  # prefetch distance in bytes where it reads those of one

# a single row streams the weights; several rows take tiles of outputs; both prefetch
_one, _side_by_side = (block(1, depth=_DEEP, outputs=outputs) for outputs in (1, _STREAMS))
_two, _three, _four = (block(rows) for rows in (2, 3, 4))
_WIDENED = KIND_TAGS[FLOAT32]


@jit
def product(kind: Any, x: int, rows: int, w: int, width: int, first: int, last: int, y: int, y_stride: int) -> None:
    """Outputs first…last of every row. x (rows, width), w (outputs, width), y (rows, y_stride) are addresses.

    Rows pass over a piece of the weights, MOST at a time: they stay in a core's first cache, the weights in its second.
    Packed weights are widened there if several passes read them. From two rows on, a row's numbers do not depend on how
    many there are.
    """
    row_bytes, widened = _row_bytes(kind, width), rows > MOST and layout_of(kind)[0] > 1
    most_outputs = layout_of(_WIDENED)[3]
    if rows == 1 or last - first < most_outputs:
        _single(kind, x, rows, w, width, first, last, y, y_stride)
        return
    tile = most_outputs if widened else layout_of(kind)[3]
    piece = NEAR // (width * 4 if widened else row_bytes) if rows > MOST else 0
    piece = max(tile, piece // tile * tile)
    wide = allocate(piece * width * 4) if widened else 0
    for o in range(first, last, piece):
        start = min(o, last - tile)
        count, at, target = min(last, o + piece) - start, w + start * row_bytes, y + start * 4
        following = at + count * row_bytes
        if widened:
            for i in range(count):
                widen(kind, at + i * row_bytes, width, wide + i * width * 4)
            _passes(_WIDENED, x, rows, wide, width, count, target, y_stride, following, row_bytes)
        else:
            _passes(kind, x, rows, at, width, count, target, y_stride, following, row_bytes)
    if widened:
        release(wide)


@jit
def _passes(
    kind: Any, x: int, rows: int, w: int, width: int, outputs: int, y: int, y_stride: int, following: int, ahead: int
) -> None:
    """All rows over a piece of the weights; prefetches `ahead` bytes per output from `following` on."""
    row_bytes, (numbers, _, _, wide, _) = _row_bytes(kind, width), layout_of(kind)
    passes, tiles = (rows + MOST - 1) // MOST, (outputs + wide - 1) // wide
    share = outputs * ahead // (passes * tiles)  # bytes to prefetch per tile
    pace = share // max(1, width // (LANES if numbers == 1 else numbers)) + 1
    m = 0
    for left in range(passes, 0, -1):
        count = (rows - m + left - 1) // left
        for tile in range(tiles):
            o = min(tile * wide, outputs - wide)  # the last one may overlap
            source, at, target = x + m * width * 4, w + o * row_bytes, y + (m * y_stride + o) * 4
            if count == 2:
                _two(kind, source, at, width, target, y_stride, 0, following, pace)
            elif count == 3:
                _three(kind, source, at, width, target, y_stride, 0, following, pace)
            else:
                _four(kind, source, at, width, target, y_stride, 0, following, pace)
            following += share
        m += count


@jit
def _single(kind: Any, x: int, rows: int, w: int, width: int, first: int, last: int, y: int, y_stride: int) -> None:
    """Row by row, for a single row or few outputs."""
    row_bytes = _row_bytes(kind, width)
    numbers, size_, share, _, half = layout_of(kind)
    room = allocate(room_for(width) + VECTOR if half else width // share * 4) if share else 0
    sums = (room + VECTOR - 1) // VECTOR * VECTOR if half else room
    single = _DEEP * LANES * size_ if numbers == 1 else size_  # bytes that one step of a single row reads
    for m in range(rows):
        source = x + m * width * 4
        if half:
            take_apart(source, width, half, sums)
        elif share:
            _sum_groups(source, share, width // share, sums)
        streams = _STREAMS if numbers == 1 and last - first >= _STREAMS else 1
        for o in range(first, last, streams):
            start = min(o, last - streams)  # the last ones may overlap
            at, target = w + start * row_bytes, y + (m * y_stride + start) * 4
            if streams > 1:
                following = at + streams * row_bytes
                _side_by_side(kind, source, at, width, target, y_stride, 0, following, streams * single)
            else:
                _one(kind, source, at, width, target, y_stride, sums, at + _AHEAD, single)
    if share:
        release(room)


@jit(fastmath={"reassoc", "contract"})
def _sum_groups(x: int, share: int, groups: int, sums: int) -> None:
    """The sums of `share` neighbouring numbers each."""
    values, found = floats(x, groups * share), floats(sums, groups)
    for group in range(groups):
        total = np.float32(0)
        for i in range(group * share, (group + 1) * share):
            total += values[i]
        found[group] = total


@jit
def bounds(outputs: int) -> tuple[int, int]:
    """This thread's range of outputs."""
    parts = size()
    step = (outputs + parts * SHARE - 1) // (parts * SHARE) * SHARE
    first = min(outputs, here() * step)
    return first, min(outputs, first + step)


@jit
def _row_bytes(kind: Any, width: int) -> Any:
    numbers, size_, _, _, _ = layout_of(kind)
    return width // numbers * size_


def shared(address: int) -> None:
    """The product across threads. Table: x, rows, w, width, outputs, y, y_stride, address of its kind's product."""
    table = integers(address, 8)
    first, last = bounds(table[4])
    invoke(table[7], table[0], table[1], table[2], table[3], first, last, table[5], table[6])


def shared_widening(address: int) -> None:
    """Widens packed rows across threads. Table: w, width, rows, bytes per row, y, address of its kind's widening."""
    table = integers(address, 6)
    w, width, rows, step, y = table[0], table[1], table[2], table[3], table[4]
    for row in range(rows * here() // size(), rows * (here() + 1) // size()):
        invoke(table[5], w + row * step, width, y + row * width * 4, 0, 0, 0, 0, 0)


def of_kind(kind: int) -> Callable[..., None]:
    """`product` for one kind of weights, to be called by `invoke`."""
    tag = KIND_TAGS[kind]

    def function(x: int, rows: int, w: int, width: int, first: int, last: int, y: int, y_stride: int) -> None:
        product(tag, x, rows, w, width, first, last, y, y_stride)

    return function


def widening_of_kind(kind: int) -> Callable[..., None]:
    """Widens a row of packed weights: w, width, y, and five numbers that are ignored, so that `invoke` can call it."""
    tag = KIND_TAGS[kind]

    def function(w: int, width: int, y: int, _3: int, _4: int, _5: int, _6: int, _7: int) -> None:
        widen(tag, w, width, y)

    return function
