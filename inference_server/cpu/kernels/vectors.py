"""Kernel building blocks: arrays at addresses, exp, max, and the inner loops of attention."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from inference_server.cpu.kernels.intrinsics import as_float, floats, jit
from inference_server.cpu.kernels.processor import LANES
from inference_server.cpu.kernels.tables import BLOCK
from inference_server.cpu.kernels.tiles import _at, _call, _load, _multiply_add, _number, _vector, prefetch

_FLOAT = ir.FloatType()
_ABREAST = 4  # vectors of a value per iteration


@jit(fastmath={"contract", "nsz"})
def exponential(x: Any) -> Any:
    """e^x in float32, branch-free, relative error 2e-7; positive below -87 too."""
    x = min(max(x, np.float32(-87)), np.float32(88))
    n = np.int32(np.floor(x * np.float32(1.4426950408889634) + np.float32(0.5)))
    whole = np.float32(n)
    r = x - whole * np.float32(0.693359375) + whole * np.float32(2.12194440e-4)
    p = np.float32(1.9875691500e-4)
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    p = p * r * r + r + np.float32(1)
    return p * as_float(np.int32((n + np.int32(127)) << np.int32(23)))


@intrinsic
def _highest_vector(typing: Any, address: Any, vectors: Any) -> Any:
    """The maximum of `vectors` · LANES floats; numba doesn't vectorise this loop itself."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        start, count = arguments
        lowest = ir.Constant(_vector(_FLOAT, LANES), [float("-inf")] * LANES)
        top = cgutils.alloca_once_value(builder, lowest)
        with cgutils.for_range_slice(builder, _number(0), count, _number(1)) as (at, _):
            vector = _load(builder, _at(builder, start, at, 4 * LANES), _FLOAT, LANES)
            higher = builder.fcmp_ordered(">", vector, builder.load(top))
            builder.store(builder.select(higher, vector, builder.load(top)), top)
        return _call(builder, f"llvm.vector.reduce.fmax.v{LANES}f32", _FLOAT, [builder.load(top)], ("nnan",))

    return types.float32(types.intp, types.intp), generate


_highest: Any = _highest_vector


@jit
def highest(address: int, count: int) -> Any:
    """The maximum of `count` floats."""
    top = _highest(address, count // LANES)
    rest = floats(address, count)
    for i in range(count // LANES * LANES, count):
        top = rest[i] if rest[i] > top else top
    return top


def _splat(builder: Any, value: Any) -> Any:
    kind = _vector(_FLOAT, LANES)
    word = ir.IntType(32)
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(word, 0))
    mask = ir.Constant(ir.VectorType(word, LANES), [0] * LANES)
    return builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), mask)


def _store(builder: Any, value: Any, address: Any) -> None:
    builder.store(value, builder.inttoptr(address, value.type.as_pointer()), align=4)


@cache
def block_scores(queries: int) -> Callable[..., None]:
    """A numba-callable (query, keys, width, scores, stride, next): scores[q, j] = query q · key j of a block.

    The block's keys lie transposed (width, BLOCK), the queries one after another; width divides by 4, stride counts
    numbers. Memory is asked for the block at `next` meanwhile.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        query, keys, width, scores, stride, following = arguments
        parts = BLOCK // LANES
        chains = 4 if queries == 1 else 2
        zero = ir.Constant(_vector(_FLOAT, LANES), [0.0] * LANES)
        sums = [
            [[cgutils.alloca_once_value(builder, zero) for _ in range(parts)] for _ in range(queries)]
            for _ in range(chains)
        ]
        each = [_at(builder, query, builder.mul(width, _number(q)), 4) for q in range(queries)]
        with cgutils.for_range_slice(builder, _number(0), width, _number(chains)) as (start, _):
            for c in range(chains):
                d = builder.add(start, _number(c))
                row = _at(builder, keys, d, 4 * BLOCK)
                prefetch(builder, _at(builder, following, d, 4 * BLOCK))
                vectors = [
                    _load(builder, builder.add(row, _number(4 * LANES * part)), _FLOAT, LANES) for part in range(parts)
                ]
                for q in range(queries):
                    value = _splat(builder, _load(builder, _at(builder, each[q], d, 4), _FLOAT, 1))
                    for part in range(parts):
                        total = builder.load(sums[c][q][part])
                        builder.store(_multiply_add(builder, value, vectors[part], total), sums[c][q][part])
        for q in range(queries):
            row = _at(builder, scores, builder.mul(stride, _number(q)), 4)
            for part in range(parts):
                total = builder.load(sums[0][q][part])
                for c in range(1, chains):
                    total = builder.fadd(total, builder.load(sums[c][q][part]))
                _store(builder, total, builder.add(row, _number(4 * LANES * part)))
        return context.get_dummy_value()

    @intrinsic
    def scores_of_page(typing: Any, query: Any, keys: Any, width: Any, scores: Any, stride: Any, following: Any) -> Any:
        return types.void(*[types.intp] * 6), generate

    return scores_of_page


@cache
def block_mix(queries: int) -> Callable[..., None]:
    """A numba-callable (weights, stride, values, width, count, mixed, next): mixed[q] += Σ weights[q, j] · value j.

    Over a block's first `count` values (BLOCK, width); width divides by LANES; `next` as above.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        weights, stride, values, width, count, mixed, following = arguments
        each = [_at(builder, weights, builder.mul(stride, _number(q)), 4) for q in range(queries)]
        outputs = [_at(builder, mixed, builder.mul(width, _number(q)), 4) for q in range(queries)]

        def columns(start: Any, stop: Any, vectors: int) -> None:
            with cgutils.for_range_slice(builder, start, stop, _number(LANES * vectors)) as (d, _):
                addresses = [
                    [_at(builder, outputs[q], builder.add(d, _number(LANES * v)), 4) for v in range(vectors)]
                    for q in range(queries)
                ]
                totals = [
                    [cgutils.alloca_once_value(builder, _load(builder, address, _FLOAT, LANES)) for address in row]
                    for row in addresses
                ]
                column = _at(builder, values, d, 4)
                with cgutils.for_range_slice(builder, _number(0), count, _number(1)) as (j, _):
                    row = _at(builder, column, builder.mul(j, width), 4)
                    ahead = _at(builder, following, builder.add(builder.mul(j, width), d), 4)
                    for v in range(0, vectors, 16 // LANES):
                        prefetch(builder, builder.add(ahead, _number(4 * LANES * v)))
                    loaded = [
                        _load(builder, builder.add(row, _number(4 * LANES * v)), _FLOAT, LANES) for v in range(vectors)
                    ]
                    for q in range(queries):
                        weight = _splat(builder, _load(builder, _at(builder, each[q], j, 4), _FLOAT, 1))
                        for v in range(vectors):
                            total = builder.load(totals[q][v])
                            builder.store(_multiply_add(builder, weight, loaded[v], total), totals[q][v])
                for q in range(queries):
                    for v in range(vectors):
                        _store(builder, builder.load(totals[q][v]), addresses[q][v])

        whole = builder.sub(width, builder.urem(width, _number(LANES * _ABREAST)))
        columns(_number(0), whole, _ABREAST)
        columns(whole, width, 1)
        return context.get_dummy_value()

    @intrinsic
    def mix_of_page(
        typing: Any, weights: Any, stride: Any, values: Any, width: Any, count: Any, mixed: Any, following: Any
    ) -> Any:
        return types.void(*[types.intp] * 7), generate

    return mix_of_page
