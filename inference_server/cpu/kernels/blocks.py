"""Blocks of weights, taken apart in vector registers, in LLVM IR: GGUF's, and those of `checkpoint_blocks`.

A weight is q·s + m: a small whole number q, a scale s and an offset m that neighbouring weights share. That is what
`gguf`'s own dequantisation computes, up to the rounding of one addition.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils

from inference_server.cpu.kernels import checkpoint_blocks
from inference_server.cpu.kernels.layouts import LAYOUTS, Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q6_K, Q8_0, SHARES
from inference_server.cpu.kernels.processor import LANES
from inference_server.cpu.kernels.registers import WORDS, constants, half_bytes, load_bytes, load_halves, splat
from inference_server.cpu.kernels.tiles import _at, _load, _number

_FLOAT, _WORD, _BYTE = ir.FloatType(), ir.IntType(32), ir.IntType(8)
_GROUP = 32

Use = Callable[[Any, list[Any], Any, Any], None]
"""Takes weights that share a scale: the place of the first, their q as vectors, s, and m or None."""


def visit(builder: Any, kind: int, block: Any, use: Use) -> Any:
    """Calls `use` for all weights of the block at an address. Says what the offsets are: a number or vector, or None.

    Blocks of 256 are a loop over parts, whose scales are widened first.
    """
    if kind in checkpoint_blocks.KINDS:
        scale, offset = checkpoint_blocks.scale_and_offset(builder, kind, block)
        use(_number(0), checkpoint_blocks.levels(builder, kind, block), scale, offset)
        return offset
    if LAYOUTS[kind][0] == _GROUP:
        scale, offset = _two_halves(builder, kind, block)
        use(_number(0), _levels(builder, kind, block), scale, offset)
        return offset
    scales, offsets = six_bit_scales(builder, block) if kind != Q6_K else byte_scales(builder, block)
    held, held_offsets = (_held(builder, vector) for vector in (scales, offsets))
    parts = 2 if kind == Q6_K else 4
    with cgutils.for_range_slice(builder, _number(0), _number(parts), _number(1)) as (part, _):
        per_part = 256 // parts
        groups = _six_bits(builder, block, part) if kind == Q6_K else _nibble_pairs(builder, kind, block, part)
        share = SHARES[kind]
        for index, levels in enumerate(groups):
            place = builder.add(builder.mul(part, _number(per_part)), _number(index * share))
            at = builder.add(builder.mul(part, _number(per_part // share)), _number(index))
            numbers = [_load(builder, _at(builder, each, at, 4), _FLOAT, 1) for each in (held, held_offsets)]
            use(place, levels, *numbers)
    return offsets


def _held(builder: Any, vector: Any) -> Any:
    """The address of memory with a vector's numbers."""
    place = cgutils.alloca_once(builder, vector.type)
    builder.store(vector, place)
    return builder.ptrtoint(place, ir.IntType(64))


def _two_halves(builder: Any, kind: int, block: Any) -> tuple[Any, Any]:
    """The scale and the offset of a block of 32."""
    stated = kind in (Q4_1, Q5_1)
    both = load_halves(builder, block, 0, 2 if stated else 1)
    scale = builder.extract_element(both, ir.Constant(_WORD, 0))
    if stated:
        return scale, builder.extract_element(both, ir.Constant(_WORD, 1))
    if kind == Q8_0:
        return scale, None
    return scale, builder.fmul(scale, ir.Constant(_FLOAT, -8.0 if kind == Q4_0 else -16.0))


def byte_scales(builder: Any, block: Any) -> tuple[Any, Any]:
    """The sixteen scales and offsets of a block of Q6_K."""
    narrow = ir.VectorType(_BYTE, 16)
    pointer = builder.inttoptr(builder.add(block, _number(192)), narrow.as_pointer())
    words = builder.sext(builder.load(pointer, align=1, typ=narrow), ir.VectorType(_WORD, 16))
    scales = _times(builder, builder.sitofp(words, ir.VectorType(_FLOAT, 16)), load_halves(builder, block, 208, 1), 16)
    return scales, builder.fmul(scales, ir.Constant(scales.type, [-32.0] * 16))


def six_bit_scales(builder: Any, block: Any) -> tuple[Any, Any]:
    """The eight scales and offsets of a block of Q4_K or Q5_K, of six bits each, packed into twelve bytes."""
    four = ir.VectorType(_WORD, 4)
    low, middle, high = (load_bytes(builder, block, 4 + 4 * part, 4) for part in range(3))

    def number(value: int) -> Any:
        return ir.Constant(four, [value] * 4)

    def upper(word: Any) -> Any:
        return builder.shl(builder.lshr(word, number(6)), number(4))

    def joined(first: Any, second: Any) -> Any:
        mask = ir.Constant(ir.VectorType(_WORD, 8), list(range(8)))
        return builder.sitofp(builder.shuffle_vector(first, second, mask), ir.VectorType(_FLOAT, 8))

    scales = joined(builder.and_(low, number(63)), builder.or_(builder.and_(high, number(15)), upper(low)))
    offsets = joined(builder.and_(middle, number(63)), builder.or_(builder.lshr(high, number(4)), upper(middle)))
    both = load_halves(builder, block, 0, 2)
    scaled = _times(builder, offsets, both, 8, 1)
    return _times(builder, scales, both, 8), builder.fmul(scaled, ir.Constant(scaled.type, [-1.0] * 8))


def _times(builder: Any, vector: Any, factors: Any, lanes: int, lane: int = 0) -> Any:
    """A vector times one of the factors."""
    mask = ir.Constant(ir.VectorType(_WORD, lanes), [lane] * lanes)
    return builder.fmul(vector, builder.shuffle_vector(factors, ir.Constant(factors.type, ir.Undefined), mask))


def _levels(builder: Any, kind: int, block: Any) -> list[Any]:
    """The numbers q of a block of 32, as vectors in order."""
    if kind == Q8_0:
        narrow = ir.VectorType(_BYTE, LANES)
        places = [builder.add(block, _number(2 + at)) for at in range(0, _GROUP, LANES)]
        loaded = [builder.load(builder.inttoptr(at, narrow.as_pointer()), align=1, typ=narrow) for at in places]
        return [builder.sext(each, WORDS) for each in loaded]
    start = {Q4_0: 2, Q4_1: 4, Q5_0: 6, Q5_1: 8}[kind]
    loaded = [load_bytes(builder, block, start + at) for at in range(0, _GROUP // 2, LANES)]
    found = [half_bytes(builder, each, upper) for upper in (False, True) for each in loaded]
    if kind in (Q4_0, Q4_1):
        return found
    pointer = builder.inttoptr(builder.add(block, _number(start - 4)), _WORD.as_pointer())
    bits = splat(builder, builder.load(pointer, align=2, typ=_WORD))
    for vector in range(_GROUP // LANES):
        moved = builder.lshr(bits, constants([vector * LANES + lane for lane in range(LANES)]))
        fifth = builder.shl(builder.and_(moved, constants(1)), constants(4))
        found[vector] = builder.or_(found[vector], fifth)
    return found


def _nibble_pairs(builder: Any, kind: int, block: Any, part: Any) -> list[list[Any]]:
    """Two groups of Q4_K or Q5_K: the lower and the upper halves of 32 bytes, with a fifth bit from elsewhere."""
    start = builder.add(block, builder.mul(part, _number(_GROUP)))
    places = range(0, _GROUP, LANES)
    loaded = [load_bytes(builder, start, (16 if kind == Q4_K else 48) + at) for at in places]
    found = [[half_bytes(builder, each, upper) for each in loaded] for upper in (False, True)]
    if kind == Q4_K:
        return found
    shift = splat(builder, builder.trunc(builder.mul(part, _number(2)), _WORD))
    for vector, at in enumerate(places):
        bits = builder.lshr(load_bytes(builder, block, 16 + at), shift)
        for group, moved in enumerate((builder.shl(bits, constants(4)), builder.shl(bits, constants(3)))):
            found[group][vector] = builder.or_(found[group][vector], builder.and_(moved, constants(16)))
    return found


def _six_bits(builder: Any, block: Any, part: Any) -> list[list[Any]]:
    """Half a block of Q6_K, as eight groups of sixteen."""
    lower = builder.add(block, builder.mul(part, _number(64)))
    upper = builder.add(block, builder.add(builder.mul(part, _number(32)), _number(128)))
    found = []
    for quarter in range(4):
        vectors = []
        for at in range(0, _GROUP, LANES):
            nibbles = half_bytes(builder, load_bytes(builder, lower, quarter % 2 * 32 + at), quarter >= 2)
            bits, move = load_bytes(builder, upper, at), 4 - 2 * quarter
            moved = builder.shl(bits, constants(move)) if move >= 0 else builder.lshr(bits, constants(-move))
            vectors.append(builder.or_(nibbles, builder.and_(moved, constants(48))))
        each = len(vectors) // 2
        found += [vectors[:each], vectors[each:]]
    return found
