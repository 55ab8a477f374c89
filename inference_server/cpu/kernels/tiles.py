"""Matrix product tiles in vector registers, in LLVM IR.

bfloat16 and float16 widen to float32 exactly, so the product equals that of a float32 load of the checkpoint, up to
the order of additions.
"""

from typing import Any

from llvmlite import ir
from numba.core import cgutils

from inference_server.cpu.kernels.layouts import BYTES, FLOAT16, FLOAT32
from inference_server.cpu.kernels.processor import LANES

_FLOAT = ir.FloatType()
_INDEX = ir.IntType(64)
_LINE = 64  # bytes per cache line


def _number(value: int) -> Any:
    return ir.Constant(_INDEX, value)


def _at(builder: Any, base: Any, index: Any, size: int) -> Any:
    """base + index * size."""
    return builder.add(base, builder.mul(index, _number(size)))


def _vector(element: ir.Type, lanes: int) -> ir.Type:
    return element if lanes == 1 else ir.VectorType(element, lanes)


def _load(builder: Any, address: Any, element: ir.Type, lanes: int) -> Any:
    kind = _vector(element, lanes)
    pointer = builder.inttoptr(address, kind.as_pointer())
    return builder.load(pointer, align=4 if element == _FLOAT else 2, typ=kind)


def _widened(builder: Any, address: Any, kind: int, lanes: int) -> Any:
    """Loads `lanes` weights as float32."""
    if kind == FLOAT32:
        return _load(builder, address, _FLOAT, lanes)
    if kind == FLOAT16:
        return builder.fpext(_load(builder, address, ir.HalfType(), lanes), _vector(_FLOAT, lanes))
    wide = _vector(ir.IntType(32), lanes)
    bits = builder.zext(_load(builder, address, ir.IntType(16), lanes), wide)
    shift = ir.Constant(ir.IntType(32), 16) if lanes == 1 else ir.Constant(wide, [16] * lanes)
    return builder.bitcast(builder.shl(bits, shift), _vector(_FLOAT, lanes))


def _call(builder: Any, name: str, result: ir.Type, arguments: list[Any], fastmath: tuple[str, ...] = ()) -> Any:
    module = builder.module
    kind = ir.FunctionType(result, [each.type for each in arguments])
    function = module.globals.get(name) or ir.Function(module, kind, name)
    return builder.call(function, arguments, fastmath=fastmath)


def _multiply_add(builder: Any, left: Any, right: Any, total: Any) -> Any:
    name = "llvm.fma.f32" if total.type == _FLOAT else f"llvm.fma.v{total.type.count}f32"
    return _call(builder, name, total.type, [left, right, total])


def _sum(builder: Any, vector: Any) -> Any:
    start = ir.Constant(_FLOAT, 0.0)
    return _call(builder, f"llvm.vector.reduce.fadd.v{vector.type.count}f32", _FLOAT, [start, vector], ("reassoc",))


def prefetch(builder: Any, address: Any) -> None:
    """Prefetches a cache line into L2, which can have more outstanding misses than L1. Any address is safe."""
    pointer = builder.inttoptr(address, ir.IntType(8).as_pointer())
    constants = [ir.Constant(ir.IntType(32), each) for each in (0, 2, 1)]  # read, second cache, data
    _call(builder, "llvm.prefetch.p0", ir.VoidType(), [pointer, *constants])


def plain_tile(
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
    depth: int,
) -> None:
    """y[m, r] = x[m] · w[r] for rows × outputs, with x and w row-major and `depth` registers per sum.

    Prefetches from `following` on, `pace` bytes per step, at most as many as the step reads.
    """
    weight_bytes = BYTES[kind]
    x_rows = [_at(builder, x, builder.mul(width, _number(m)), 4) for m in range(rows)]
    w_rows = [_at(builder, w, builder.mul(width, _number(r)), weight_bytes) for r in range(outputs)]

    def accumulate(start: Any, stop: Any, lanes: int, depth: int) -> list[list[Any]]:
        """Sums products from start to stop, a whole number of steps of `depth` vectors."""
        zero = ir.Constant(_vector(_FLOAT, lanes), 0.0 if lanes == 1 else [0.0] * lanes)
        sums = [
            [[cgutils.alloca_once_value(builder, zero) for _ in range(outputs)] for _ in range(rows)]
            for _ in range(depth)
        ]
        target = cgutils.alloca_once_value(builder, following)
        with cgutils.for_range_slice(builder, start, stop, _number(lanes * depth)) as (at, _):
            if lanes > 1:
                address = builder.load(target)
                for line in range(-(-depth * outputs * weight_bytes * lanes // _LINE)):
                    prefetch(builder, builder.add(address, _number(line * _LINE)))
                builder.store(builder.add(address, pace), target)
            for d in range(depth):
                k = builder.add(at, _number(d * lanes))
                weights = [_widened(builder, _at(builder, each, k, weight_bytes), kind, lanes) for each in w_rows]
                for m in range(rows):
                    values = _load(builder, _at(builder, x_rows[m], k, 4), _FLOAT, lanes)
                    for r in range(outputs):
                        total = builder.load(sums[d][m][r])
                        builder.store(_multiply_add(builder, values, weights[r], total), sums[d][m][r])
        totals: list[list[Any]] = []
        for m in range(rows):
            totals.append([])
            for r in range(outputs):
                total = builder.load(sums[0][m][r])
                for d in range(1, depth):
                    total = builder.fadd(total, builder.load(sums[d][m][r]))
                totals[m].append(total if lanes == 1 else _sum(builder, total))
        return totals

    # whole steps, then whole vectors, then scalars
    ends = [builder.sub(width, builder.urem(width, _number(step))) for step in (LANES * depth, LANES)]
    parts = [accumulate(_number(0), ends[0], LANES, depth)]
    if depth > 1:
        parts.append(accumulate(ends[0], ends[1], LANES, 1))
    parts.append(accumulate(ends[1], width, 1, 1))
    for m in range(rows):
        row = _at(builder, y, builder.mul(y_stride, _number(m)), 4)
        for r in range(outputs):
            total = parts[0][m][r]
            for part in parts[1:]:
                total = builder.fadd(total, part[m][r])
            pointer = builder.inttoptr(_at(builder, row, _number(r), 4), _FLOAT.as_pointer())
            builder.store(total, pointer, align=4)
