"""Products with weights in GGUF's blocks, and such weights widened to float32, in LLVM IR."""

from typing import Any

from llvmlite import ir
from numba.core import cgutils

from inference_server.cpu.kernels.blocks import Use, visit
from inference_server.cpu.kernels.layouts import LAYOUTS, SHARES
from inference_server.cpu.kernels.processor import LANES
from inference_server.cpu.kernels.registers import as_floats, splat
from inference_server.cpu.kernels.tiles import (
    _LINE,
    _at,
    _call,
    _load,
    _multiply_add,
    _number,
    _sum,
    _vector,
    prefetch,
)

_FLOAT, _FLOATS = ir.FloatType(), _vector(ir.FloatType(), LANES)


def packed_tile(
    builder: Any,
    x: Any,
    w: Any,
    width: Any,
    y: Any,
    y_stride: Any,
    sums: Any,
    following: Any,
    pace: Any,
    rows: int,
    outputs: int,
    kind: int,
) -> None:
    """As tiles.plain_tile, for weights in blocks; a step is a block of each output.

    Scales are multiplied in once per group for a single row, whose numbers' sums over groups are at address `sums`.
    """
    numbers, size = LAYOUTS[kind]
    blocks = builder.udiv(width, _number(numbers))
    zero, single = ir.Constant(_FLOATS, [0.0] * LANES), rows * outputs == 1
    totals = [[cgutils.alloca_once_value(builder, zero) for _ in range(outputs)] for _ in range(2 if single else rows)]
    x_rows = [_at(builder, x, builder.mul(width, _number(m)), 4) for m in range(rows)]
    w_rows = [_at(builder, w, builder.mul(blocks, _number(r)), size) for r in range(outputs)]
    target = cgutils.alloca_once_value(builder, following)
    beside = _Offsets(builder, kind)

    def values(m: int, place: Any, vector: int) -> Any:
        return _load(builder, _at(builder, x_rows[m], builder.add(place, _number(vector * LANES)), 4), _FLOAT, LANES)

    def product(place: Any, levels: list[Any], scale: Any, offset: Any) -> None:
        beside.calls += 1
        place = builder.add(start, place)
        part = zero
        for vector, level in enumerate(levels):
            part = _multiply_add(builder, as_floats(builder, level), values(0, place, vector), part)
        total = totals[beside.calls % 2][0]
        builder.store(_multiply_add(builder, splat(builder, scale), part, builder.load(total)), total)

    def products(r: int) -> Use:
        def use(place: Any, levels: list[Any], scale: Any, offset: Any) -> None:
            place = builder.add(start, place)
            for vector, level in enumerate(levels):
                weights = _weights(builder, level, scale, offset)
                for m in range(rows):
                    found = _multiply_add(builder, values(m, place, vector), weights, builder.load(totals[m][r]))
                    builder.store(found, totals[m][r])

        return use

    with cgutils.for_range_slice(builder, _number(0), blocks, _number(1)) as (at, _):
        address = builder.load(target)
        for line in range(-(-outputs * size // _LINE)):
            prefetch(builder, builder.add(address, _number(line * _LINE)))
        builder.store(builder.add(address, pace), target)
        start = builder.mul(at, _number(numbers))
        for r in range(outputs):
            block = _at(builder, w_rows[r], at, size)
            if single:
                beside.add(visit(builder, kind, block, product), sums, at)
            else:
                visit(builder, kind, block, products(r))
    for m in range(rows):
        row = _at(builder, y, builder.mul(y_stride, _number(m)), 4)
        for r in range(outputs):
            total = _sum(builder, builder.load(totals[m][r]))
            if single:
                total = builder.fadd(total, builder.fadd(_sum(builder, builder.load(totals[1][0])), beside.total()))
            pointer = builder.inttoptr(_at(builder, row, _number(r), 4), _FLOAT.as_pointer())
            builder.store(total, pointer, align=4)


class _Offsets:
    """The sum over blocks of offsets times sums of a row's numbers."""

    def __init__(self, builder: Any, kind: int) -> None:
        self._builder = builder
        self._count = LAYOUTS[kind][0] // SHARES[kind] if SHARES[kind] else 0
        self._kind = _vector(_FLOAT, max(1, self._count))
        zero = ir.Constant(self._kind, [0.0] * self._count if self._count > 1 else 0.0)
        self._total = cgutils.alloca_once_value(builder, zero)
        self.calls = 0

    def add(self, offsets: Any, sums: Any, block: Any) -> None:
        """The offsets of one block."""
        if offsets is None:
            return
        builder = self._builder
        place = _at(builder, sums, builder.mul(block, _number(self._count)), 4)
        loaded = _load(builder, place, _FLOAT, self._count)
        name = f"llvm.fma.{'' if self._count == 1 else f'v{self._count}'}f32"
        found = _call(builder, name, self._kind, [offsets, loaded, builder.load(self._total)])
        builder.store(found, self._total)

    def total(self) -> Any:
        vector = self._builder.load(self._total)
        if self._count <= 1:
            return vector
        start, name = ir.Constant(_FLOAT, 0.0), f"llvm.vector.reduce.fadd.v{self._count}f32"
        return _call(self._builder, name, _FLOAT, [start, vector], ("reassoc",))


def widen_row(builder: Any, kind: int, w: Any, width: Any, y: Any) -> None:
    """y = the row of `width` weights at address w, in float32."""
    numbers, size = LAYOUTS[kind]
    with cgutils.for_range_slice(builder, _number(0), builder.udiv(width, _number(numbers)), _number(1)) as (at, _):
        start = builder.mul(at, _number(numbers))

        def use(place: Any, levels: list[Any], scale: Any, offset: Any) -> None:
            for vector, level in enumerate(levels):
                to = builder.add(builder.add(start, place), _number(vector * LANES))
                pointer = builder.inttoptr(_at(builder, y, to, 4), _FLOATS.as_pointer())
                builder.store(_weights(builder, level, scale, offset), pointer, align=4)

        visit(builder, kind, _at(builder, w, at, size), use)


def _weights(builder: Any, levels: Any, scale: Any, offset: Any) -> Any:
    numbers, scales = as_floats(builder, levels), splat(builder, scale)
    if offset is None:
        return builder.fmul(numbers, scales)
    return _multiply_add(builder, numbers, scales, splat(builder, offset))
