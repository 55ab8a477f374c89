"""Weights in GGUF's blocks, widened to float32 in vector registers, in LLVM IR.

A weight is q·s + m: a small whole number q, a scale s and an offset m that neighbouring weights share. That is what
`gguf`'s own dequantisation computes, up to the rounding of one addition.
"""

from collections.abc import Callable, Iterator
from typing import Any

from llvmlite import ir
from numba.core import cgutils

from inference_server.cpu.kernels.tiles import (
    LANES,
    _at,
    _load,
    _multiply_add,
    _number,
    _sum,
    _vector,
    prefetch,
)

Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K = range(3, 11)
LAYOUTS = {
    Q4_0: (32, 18),
    Q4_1: (32, 20),
    Q5_0: (32, 22),
    Q5_1: (32, 24),
    Q8_0: (32, 34),
    Q4_K: (256, 144),
    Q5_K: (256, 176),
    Q6_K: (256, 210),
}
"""Weights and bytes per block."""
_GROUP = 32  # weights that are widened together
_SHARED = 16  # weights that share a scale at least
_FLOAT, _WORD, _BYTE = ir.FloatType(), ir.IntType(32), ir.IntType(8)
_WORDS, _FLOATS = _vector(_WORD, LANES), _vector(_FLOAT, LANES)
_LINE = 64

Scales = Callable[[int], tuple[Any, Any]]
"""From sixteen weights' number in the block to the vectors s and m, all lanes equal; m None: 0."""


def weights(builder: Any, kind: int, block: Any) -> Iterator[tuple[int, Any]]:
    """The weights of the block at an address, LANES at a time, each with the place of the first."""
    scales = _scales(builder, kind, block)
    for group in range(LAYOUTS[kind][0] // _GROUP):
        for vector, levels in enumerate(_levels(builder, kind, block, group)):
            first = group * _GROUP + vector * LANES
            scale, offset = scales(first // _SHARED)
            numbers = builder.sitofp(levels, _FLOATS)
            yield (
                first,
                builder.fmul(numbers, scale) if offset is None else _multiply_add(builder, numbers, scale, offset),
            )


def packed_tile(
    builder: Any,
    x: Any,
    w: Any,
    width: Any,
    y: Any,
    y_stride: Any,
    following: Any,
    pace: Any,
    rows: int,
    outputs: int,
    kind: int,
    ahead: bool,
) -> None:
    """As tiles.plain_tile, for weights in blocks; a step is a block of each output."""
    numbers, size = LAYOUTS[kind]
    blocks = builder.udiv(width, _number(numbers))
    chains = 4 if rows * outputs == 1 else 1
    zero = ir.Constant(_FLOATS, [0.0] * LANES)
    sums = [
        [[cgutils.alloca_once_value(builder, zero) for _ in range(outputs)] for _ in range(rows)] for _ in range(chains)
    ]
    x_rows = [_at(builder, x, builder.mul(width, _number(m)), 4) for m in range(rows)]
    w_rows = [_at(builder, w, builder.mul(blocks, _number(r)), size) for r in range(outputs)]
    target = cgutils.alloca_once_value(builder, following)
    with cgutils.for_range_slice(builder, _number(0), blocks, _number(1)) as (at, _):
        if ahead:
            address = builder.load(target)
            for line in range(max(1, outputs * size // _LINE)):
                prefetch(builder, builder.add(address, _number(line * _LINE)))
            builder.store(builder.add(address, pace), target)
        start = builder.mul(at, _number(numbers))
        for r in range(outputs):
            for step, (first, vector) in enumerate(weights(builder, kind, _at(builder, w_rows[r], at, size))):
                place = builder.add(start, _number(first))
                for m in range(rows):
                    values = _load(builder, _at(builder, x_rows[m], place, 4), _FLOAT, LANES)
                    total = sums[step % chains][m][r]
                    builder.store(_multiply_add(builder, values, vector, builder.load(total)), total)
    for m in range(rows):
        row = _at(builder, y, builder.mul(y_stride, _number(m)), 4)
        for r in range(outputs):
            total = builder.load(sums[0][m][r])
            for chain in range(1, chains):
                total = builder.fadd(total, builder.load(sums[chain][m][r]))
            pointer = builder.inttoptr(_at(builder, row, _number(r), 4), _FLOAT.as_pointer())
            builder.store(_sum(builder, total), pointer, align=4)


def widen_row(builder: Any, kind: int, w: Any, width: Any, y: Any) -> None:
    """y = the row of `width` weights at address w, in float32."""
    numbers, size = LAYOUTS[kind]
    with cgutils.for_range_slice(builder, _number(0), builder.udiv(width, _number(numbers)), _number(1)) as (at, _):
        start = builder.mul(at, _number(numbers))
        for first, vector in weights(builder, kind, _at(builder, w, at, size)):
            place = _at(builder, y, builder.add(start, _number(first)), 4)
            builder.store(vector, builder.inttoptr(place, _FLOATS.as_pointer()), align=4)


def _words(value: int | list[int]) -> Any:
    return ir.Constant(_WORDS, value if isinstance(value, list) else [value] * LANES)


def _bytes(builder: Any, address: Any, offset: int, count: int = LANES) -> Any:
    """`count` bytes as 32-bit numbers."""
    kind = ir.VectorType(_BYTE, count)
    pointer = builder.inttoptr(builder.add(address, _number(offset)), kind.as_pointer())
    return builder.zext(builder.load(pointer, align=1, typ=kind), ir.VectorType(_WORD, count))


def _halves(builder: Any, address: Any, offset: int, count: int) -> Any:
    """`count` float16 numbers as float32."""
    kind = ir.VectorType(ir.HalfType(), count)
    pointer = builder.inttoptr(builder.add(address, _number(offset)), kind.as_pointer())
    return builder.fpext(builder.load(pointer, align=2, typ=kind), ir.VectorType(_FLOAT, count))


def _lane(builder: Any, vector: Any, lane: int) -> Any:
    """One number of a vector in all lanes."""
    mask = ir.Constant(ir.VectorType(_WORD, LANES), [lane] * LANES)
    return builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), mask)


def _scales(builder: Any, kind: int, block: Any) -> Scales:
    if kind == Q6_K:
        d = _halves(builder, block, 208, 1)
        narrow = ir.VectorType(_BYTE, 16)
        pointer = builder.inttoptr(builder.add(block, _number(192)), narrow.as_pointer())
        words = builder.sext(builder.load(pointer, align=1, typ=narrow), ir.VectorType(_WORD, 16))
        every = _times(builder, builder.sitofp(words, ir.VectorType(_FLOAT, 16)), d, 16)
        offsets = builder.fmul(every, ir.Constant(every.type, [-32.0] * 16))
        return lambda part: (_lane(builder, every, part), _lane(builder, offsets, part))
    if kind in (Q4_K, Q5_K):
        scales, offsets = _k_scales(builder, block)
        return lambda part: (_lane(builder, scales, part // 2), _lane(builder, offsets, part // 2))
    both = _halves(builder, block, 0, 2 if kind in (Q4_1, Q5_1) else 1)
    scale = _lane(builder, both, 0)
    offset = None
    if kind in (Q4_1, Q5_1):
        offset = _lane(builder, both, 1)
    elif kind != Q8_0:
        offset = builder.fmul(scale, ir.Constant(_FLOATS, [-8.0 if kind == Q4_0 else -16.0] * LANES))
    return lambda part: (scale, offset)


def _k_scales(builder: Any, block: Any) -> tuple[Any, Any]:
    """The eight scales and offsets of a block of Q4_K or Q5_K, of six bits each, packed into twelve bytes."""
    four = ir.VectorType(_WORD, 4)
    low, middle, high = (_bytes(builder, block, 4 + 4 * part, 4) for part in range(3))

    def number(value: int) -> Any:
        return ir.Constant(four, [value] * 4)

    def upper(word: Any) -> Any:
        return builder.shl(builder.lshr(word, number(6)), number(4))

    def joined(first: Any, second: Any) -> Any:
        mask = ir.Constant(ir.VectorType(_WORD, 8), list(range(8)))
        return builder.sitofp(builder.shuffle_vector(first, second, mask), ir.VectorType(_FLOAT, 8))

    scales = joined(builder.and_(low, number(63)), builder.or_(builder.and_(high, number(15)), upper(low)))
    offsets = joined(builder.and_(middle, number(63)), builder.or_(builder.lshr(high, number(4)), upper(middle)))
    both = _halves(builder, block, 0, 2)
    negative = ir.Constant(ir.VectorType(_FLOAT, 8), [-1.0] * 8)
    scaled = _times(builder, offsets, both, 8, 1)
    return _times(builder, scales, both, 8), builder.fmul(scaled, negative)


def _times(builder: Any, vector: Any, factors: Any, lanes: int, lane: int = 0) -> Any:
    """A vector times one of the factors."""
    mask = ir.Constant(ir.VectorType(_WORD, lanes), [lane] * lanes)
    return builder.fmul(vector, builder.shuffle_vector(factors, ir.Constant(factors.type, ir.Undefined), mask))


def _levels(builder: Any, kind: int, block: Any, group: int) -> list[Any]:
    """The numbers q of 32 weights, as vectors in order."""
    if kind == Q8_0:
        narrow = ir.VectorType(_BYTE, LANES)
        places = [builder.add(block, _number(2 + at)) for at in range(0, _GROUP, LANES)]
        loaded = [builder.load(builder.inttoptr(at, narrow.as_pointer()), align=1, typ=narrow) for at in places]
        return [builder.sext(each, _WORDS) for each in loaded]
    if kind == Q6_K:
        return [_six_bits(builder, block, group, at) for at in range(0, _GROUP, LANES)]
    if kind in (Q4_K, Q5_K):
        start = (16 if kind == Q4_K else 48) + group // 2 * _GROUP
        shift, found = group % 2 * 4, []
        for at in range(0, _GROUP, LANES):
            nibbles = _nibbles(builder, _bytes(builder, block, start + at), shift)
            if kind == Q5_K:
                nibbles = builder.or_(nibbles, _fifth(builder, _bytes(builder, block, 16 + at), group))
            found.append(nibbles)
        return found
    start = {Q4_0: 2, Q4_1: 4, Q5_0: 6, Q5_1: 8}[kind]
    loaded = [_bytes(builder, block, start + at) for at in range(0, _GROUP // 2, LANES)]
    found = [_nibbles(builder, each, shift) for shift in (0, 4) for each in loaded]
    if kind in (Q4_0, Q4_1):
        return found
    pointer = builder.inttoptr(builder.add(block, _number(start - 4)), _WORD.as_pointer())
    word = builder.load(pointer, align=2, typ=_WORD)
    bits = _lane(builder, builder.insert_element(ir.Constant(_WORDS, ir.Undefined), word, ir.Constant(_WORD, 0)), 0)
    for vector in range(_GROUP // LANES):
        moved = builder.lshr(bits, _words([vector * LANES + lane for lane in range(LANES)]))
        fifth = builder.shl(builder.and_(moved, _words(1)), _words(4))
        found[vector] = builder.or_(found[vector], fifth)
    return found


def _nibbles(builder: Any, loaded: Any, shift: int) -> Any:
    """The lower or upper four bits of bytes."""
    return builder.lshr(loaded, _words(4)) if shift else builder.and_(loaded, _words(15))


def _fifth(builder: Any, loaded: Any, bit: int) -> Any:
    """A bit of bytes, as the fifth one."""
    moved = builder.shl(loaded, _words(4 - bit)) if bit <= 4 else builder.lshr(loaded, _words(bit - 4))
    return builder.and_(moved, _words(16))


def _six_bits(builder: Any, block: Any, group: int, at: int) -> Any:
    half, quarter = divmod(group, 4)
    lower = _nibbles(builder, _bytes(builder, block, half * 64 + quarter % 2 * 32 + at), quarter // 2 * 4)
    upper = _bytes(builder, block, 128 + half * 32 + at)
    moved = builder.shl(upper, _words(4 - 2 * quarter)) if quarter <= 2 else builder.lshr(upper, _words(2))
    return builder.or_(lower, builder.and_(moved, _words(48)))
