"""Products of weights of four to six bits with a row in limbs, by AVX-512's VNNI, in LLVM IR.

One instruction multiplies 64 bytes of levels by as many of a limb and adds up four products each. A step takes 128
weights: the lower halves of 64 bytes and the upper ones.
"""

from typing import Any

from llvmlite import ir
from numba.core import cgutils

from inference_server.cpu.kernels.blocks import byte_scales, six_bit_scales
from inference_server.cpu.kernels.layouts import LAYOUTS, Q4_0, Q5_K, Q6_K, U4
from inference_server.cpu.kernels.limbs import GROUP, GROUPS, HEAD_BYTES, LIMB_BYTES, LIMBS, STEP, VECTOR
from inference_server.cpu.kernels.registers import shuffled
from inference_server.cpu.kernels.tiles import _LINE, _at, _call, _multiply_add, _number, _sum, prefetch

_BYTE, _SHORT, _WORD, _FLOAT = ir.IntType(8), ir.IntType(16), ir.IntType(32), ir.FloatType()
_BYTES, _SHORTS, _WORDS = ir.VectorType(_BYTE, VECTOR), ir.VectorType(_SHORT, VECTOR // 2), ir.VectorType(_WORD, 16)
_FLOATS, _HEADS = ir.VectorType(_FLOAT, 16), ir.VectorType(_FLOAT, 2 * GROUPS)


def tile(builder: Any, w: Any, width: Any, y: Any, row: Any, following: Any, kind: int) -> None:
    """y = the row that take_apart has left at `row`, times one output's weights; prefetches from `following` on."""
    numbers, size = LAYOUTS[kind]
    each = max(1, STEP // numbers)  # blocks at a time
    taken = each * size
    steps = builder.udiv(builder.add(width, _number(STEP - 1)), _number(STEP))
    sums = _Sums(builder, row, _at(builder, row, steps, LIMB_BYTES))
    target = cgutils.alloca_once_value(builder, following)
    blocks = builder.udiv(width, _number(numbers))
    turns, left = builder.udiv(blocks, _number(each)), builder.urem(blocks, _number(each))
    with cgutils.for_range_slice(builder, _number(0), turns, _number(1)) as (at, _):
        address = builder.load(target)
        for line in range(-(-taken // _LINE)):
            prefetch(builder, builder.add(address, _number(line * _LINE)))
        builder.store(builder.add(address, _number(taken)), target)
        block = _at(builder, w, at, taken)
        if kind == Q6_K:
            sums.add_sixes(block, at)
        elif each == 1:
            sums.add_large(kind, block, at)
        else:
            sums.add_small(kind, block, at)
    if each > 1:
        with builder.if_then(builder.icmp_unsigned(">", left, _number(0))):
            sums.add_small(kind, _at(builder, w, turns, taken), turns, left)
    builder.store(sums.total(), builder.inttoptr(y, _FLOAT.as_pointer()), align=4)


class _Sums:
    """What an output's weights and the row add up to."""

    def __init__(self, builder: Any, limbs: Any, heads: Any) -> None:
        self._builder = builder
        self._limbs = limbs
        self._heads = heads
        self._products = cgutils.alloca_once_value(builder, _zeros(_FLOATS))
        self._beside = cgutils.alloca_once_value(builder, _zeros(_HEADS))  # offsets times sums

    def total(self) -> Any:
        builder = self._builder
        return builder.fadd(*(_sum(builder, builder.load(each)) for each in (self._products, self._beside)))

    def add_small(self, kind: int, block: Any, step: Any, left: Any = None) -> None:
        """A step of blocks of 32; with `left` only so many of them, and memory behind them is not read."""
        builder, size = self._builder, LAYOUTS[kind][1]
        per_block, head = size // 2, 1 if kind == Q4_0 else 2  # in numbers of 16 bits
        behind = GROUPS * per_block - _SHORTS.count  # where the second load begins
        some, others = (self._shorts(block, at, per_block, left) for at in (0, behind))

        def place(number: int) -> int:
            return number if number < _SHORTS.count else number - behind + _SHORTS.count

        levels = [each * per_block + head + at for each in range(GROUPS) for at in range(GROUP // 4)]
        heads = [each * per_block + at * (head - 1) for at in (0, 1) for each in range(GROUPS)]
        halves = builder.bitcast(
            shuffled(builder, some, others, [place(at) for at in heads]), ir.VectorType(ir.HalfType(), len(heads))
        )
        scales = builder.fpext(builder.bitcast(halves, ir.VectorType(ir.HalfType(), len(heads))), _HEADS)
        if kind == Q4_0:
            scales = builder.fmul(scales, ir.Constant(_HEADS, [1.0] * GROUPS + [-8.0] * GROUPS))
        if kind == U4:  # their offset is a multiple of the scale
            ones = ir.Constant(_HEADS, [1.0] * len(heads))
            lanes = [len(heads)] * GROUPS + list(range(GROUPS))
            scales = builder.fmul(scales, shuffled(builder, scales, ones, lanes))
        scaled = builder.fmul(scales, self._head(step, 0))
        offsets = shuffled(builder, _zeros(_HEADS), scaled, [*range(GROUPS), *range(3 * GROUPS, 4 * GROUPS)])
        builder.store(builder.fadd(builder.load(self._beside), offsets), self._beside)
        low, high = self._levels(shuffled(builder, some, others, [place(at) for at in levels]))
        whole = self._product(step, [(low, 0), (high, 1)])
        self._add(whole, shuffled(builder, scaled, scaled, [each for each in range(GROUPS) for _ in range(4)]))

    def add_large(self, kind: int, block: Any, at: Any) -> None:
        """A block of Q4_K or Q5_K, whose 32 bytes of fifth bits come first."""
        builder, fifths = self._builder, kind == Q5_K
        scales, offsets = six_bit_scales(builder, block)
        first = builder.mul(at, _number(2))
        some, others = (self._head(first, behind) for behind in (0, 1))
        own, sums = (shuffled(builder, some, others, [*range(at, at + 4), *range(at + 8, at + 12)]) for at in (0, 4))
        scales = builder.fmul(scales, own)
        beside = _multiply_add(builder, offsets, sums, builder.load(self._beside))
        builder.store(beside, self._beside)
        for step in range(2):
            levels = self._levels(self._bytes(block, (48 if fifths else 16) + VECTOR * step))
            if fifths:
                bits = self._shifted_bits(block, 16, [4 * step, 4 * step + 2])
                levels = [self._with_bits(each, bits, 0x10, 4 - half) for half, each in enumerate(levels)]
            for half, vector in enumerate(levels):
                whole = self._product(builder.add(first, _number(step)), [(vector, half)])
                lanes = [4 * step + half + group for group in (0, 2) for _ in range(8)]
                self._add(whole, shuffled(builder, scales, scales, lanes))

    def add_sixes(self, block: Any, at: Any) -> None:
        """A block of Q6_K."""
        builder = self._builder
        first = builder.mul(at, _number(2))
        some, others = (self._head(first, behind) for behind in (0, 1))
        twice = [lane for group in (*range(GROUPS), *range(2 * GROUPS, 3 * GROUPS)) for lane in (group, group)]
        scales = builder.fmul(byte_scales(builder, block)[0], shuffled(builder, some, others, twice))
        for step in range(2):
            bits = self._shifted_bits(block, 128 + VECTOR // 2 * step, [0, 2])
            for half, vector in enumerate(self._levels(self._bytes(block, VECTOR * step))):
                level, place = self._with_bits(vector, bits, 0x30, 4 - 4 * half), builder.add(first, _number(step))
                whole = self._product(place, [(level, half)])
                fours = self._fours(place, half)
                less = builder.shl(fours, ir.Constant(_WORDS, [5] * _WORDS.count))  # levels are from -32 on
                lanes = [8 * step + 4 * half + each for each in range(4) for _ in range(4)]
                self._add(builder.sub(whole, less), shuffled(builder, scales, scales, lanes))

    def _add(self, whole: Any, scales: Any) -> None:
        builder = self._builder
        part = builder.sitofp(whole, _FLOATS)
        builder.store(_multiply_add(builder, scales, part, builder.load(self._products)), self._products)

    def _product(self, step: Any, levels: list[tuple[Any, int]]) -> Any:
        """Levels, and which half they are, times whole numbers of the row."""
        builder, found = self._builder, ir.Constant(_WORDS, [0] * _WORDS.count)
        start = _at(builder, self._limbs, step, LIMB_BYTES)
        for limb in reversed(range(LIMBS)):
            found = builder.shl(found, ir.Constant(_WORDS, [8] * _WORDS.count))
            for vector, half in levels:
                numbers = self._bytes(start, (2 * limb + half) * VECTOR, align=VECTOR)
                found = _call(builder, "llvm.x86.avx512.vpdpbusd.512", _WORDS, [found, vector, numbers])
        return found

    def _fours(self, step: Any, half: int) -> Any:
        """The sums of four of the row's whole numbers each."""
        start = _at(self._builder, self._limbs, step, LIMB_BYTES)
        found = self._bytes(start, (2 * LIMBS + half) * VECTOR, align=VECTOR)
        return self._builder.bitcast(found, _WORDS)

    def _bytes(self, address: Any, offset: int, align: int = 1) -> Any:
        builder = self._builder
        pointer = builder.inttoptr(builder.add(address, _number(offset)), _BYTES.as_pointer())
        return builder.load(pointer, align=align, typ=_BYTES)

    def _shifted_bits(self, block: Any, offset: int, by: list[int]) -> Any:
        """32 bytes, shifted right by a number of bits, and behind them the same shifted by another."""
        builder, kind = self._builder, ir.VectorType(_WORD, _WORDS.count // 2)
        pointer = builder.inttoptr(builder.add(block, _number(offset)), kind.as_pointer())
        loaded = builder.load(pointer, align=1, typ=kind)
        both = shuffled(builder, loaded, loaded, list(range(kind.count)) * 2)
        return builder.lshr(both, ir.Constant(_WORDS, [bits for bits in by for _ in range(kind.count)]))

    def _with_bits(self, levels: Any, bits: Any, mask: int, left: int) -> Any:
        """Levels with bits above their four: shifted left, and of each byte those of a mask."""
        builder = self._builder
        shifted = builder.shl(bits, ir.Constant(_WORDS, [left] * _WORDS.count))
        upper = builder.and_(shifted, ir.Constant(_WORDS, [mask * 0x01010101] * _WORDS.count))
        return builder.or_(levels, builder.bitcast(upper, _BYTES))

    def _head(self, step: Any, behind: int) -> Any:
        """Four scales and four sums of the row."""
        builder = self._builder
        at = builder.add(_at(builder, self._heads, step, HEAD_BYTES), _number(behind * HEAD_BYTES))
        return builder.load(builder.inttoptr(at, _HEADS.as_pointer()), align=4, typ=_HEADS)

    def _levels(self, packed: Any) -> list[Any]:
        """The lower and the upper halves of 64 bytes."""
        builder = self._builder
        words = builder.bitcast(packed, _WORDS)
        shifted = builder.lshr(words, ir.Constant(_WORDS, [4] * _WORDS.count))
        mask = ir.Constant(_WORDS, [0x0F0F0F0F] * _WORDS.count)
        return [builder.bitcast(builder.and_(each, mask), _BYTES) for each in (words, shifted)]

    def _shorts(self, block: Any, start: int, per_block: int, left: Any) -> Any:
        """64 bytes from a number on; of blocks that are not there zeros, without reading them."""
        builder = self._builder
        pointer = builder.inttoptr(builder.add(block, _number(2 * start)), _SHORTS.as_pointer())
        if left is None:
            return builder.load(pointer, align=2, typ=_SHORTS)
        count = builder.trunc(builder.mul(left, _number(per_block)), _SHORT)
        one = builder.insert_element(ir.Constant(_SHORTS, ir.Undefined), count, _WORD(0))
        counts = shuffled(builder, one, one, [0] * _SHORTS.count)
        places = ir.Constant(_SHORTS, list(range(start, start + _SHORTS.count)))
        mask = builder.icmp_unsigned("<", places, counts)
        zeros = ir.Constant(_SHORTS, [0] * _SHORTS.count)
        return _call(builder, "llvm.masked.load.v32i16.p0", _SHORTS, [pointer, _WORD(2), mask, zeros])


def _zeros(kind: Any) -> Any:
    return ir.Constant(kind, [0.0] * kind.count)
