"""Rows of float32 numbers in compiled code: addresses, exponentials, and the two inner loops of attention."""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from inference_server.kernels.tiles import LANES, _at, _call, _load, _multiply_add, _number, _vector

PAGE = 16  # tokens in a page
_FLOAT = ir.FloatType()


@intrinsic
def _pointer(typing: Any, address: Any) -> Any:
    """int64 → untyped pointer."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(types.intp), generate


@intrinsic
def _as_float(typing: Any, bits: Any) -> Any:
    """The float32 whose bits an int32 has."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], _FLOAT)

    return types.float32(types.int32), generate


@njit(nogil=True)
def floats(address: int, count: int) -> Any:
    """The `count` float32 numbers at an address."""
    return carray(_pointer(address), (count,), dtype=np.float32)


@njit(nogil=True)
def integers(address: int, count: int) -> Any:
    """The `count` int64 numbers at an address."""
    return carray(_pointer(address), (count,), dtype=np.int64)


@njit(nogil=True, fastmath={"contract", "nsz"})
def exponential(x: float) -> float:
    """e^x in float32, to 2e-7 of its value, without branches; 0 < e^x for x below -87 too."""
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
    return p * _as_float(np.int32((n + np.int32(127)) << np.int32(23)))


def _splat(builder: Any, value: Any) -> Any:
    kind = _vector(_FLOAT, LANES)
    word = ir.IntType(32)
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(word, 0))
    mask = ir.Constant(ir.VectorType(word, LANES), [0] * LANES)
    return builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), mask)


def _store(builder: Any, value: Any, address: Any) -> None:
    builder.store(value, builder.inttoptr(address, value.type.as_pointer()), align=4)


@intrinsic
def page_scores(typing: Any, query: Any, keys: Any, width: Any, scores: Any) -> Any:
    """scores[j] = query · key j for a page's PAGE keys, which lie transposed (width, PAGE)."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        query, keys, width, scores = arguments
        parts, chains = PAGE // LANES, 4
        zero = ir.Constant(_vector(_FLOAT, LANES), [0.0] * LANES)
        sums = [[cgutils.alloca_once_value(builder, zero) for _ in range(parts)] for _ in range(chains)]
        with cgutils.for_range_slice(builder, _number(0), width, _number(chains)) as (start, _):
            for c in range(chains):
                d = builder.add(start, _number(c))
                value = _splat(builder, _load(builder, _at(builder, query, d, 4), _FLOAT, 1))
                row = _at(builder, keys, d, 4 * PAGE)
                for part in range(parts):
                    vector = _load(builder, builder.add(row, _number(4 * LANES * part)), _FLOAT, LANES)
                    held = builder.load(sums[c][part])
                    builder.store(_multiply_add(builder, value, vector, held), sums[c][part])
        for part in range(parts):
            total = builder.load(sums[0][part])
            for c in range(1, chains):
                total = builder.fadd(total, builder.load(sums[c][part]))
            _store(builder, total, builder.add(scores, _number(4 * LANES * part)))
        return context.get_dummy_value()

    return types.void(*[types.intp] * 4), generate


@intrinsic
def page_mix(typing: Any, weights: Any, values: Any, width: Any, count: Any, mixed: Any) -> Any:
    """mixed += Σ weights[j] · value j over a page's first `count` values (PAGE, width); width divides by LANES."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        weights, values, width, count, mixed = arguments
        with cgutils.for_range_slice(builder, _number(0), width, _number(LANES)) as (d, _):
            place = _at(builder, mixed, d, 4)
            total = cgutils.alloca_once_value(builder, _load(builder, place, _FLOAT, LANES))
            column = _at(builder, values, d, 4)
            with cgutils.for_range_slice(builder, _number(0), count, _number(1)) as (j, _):
                weight = _splat(builder, _load(builder, _at(builder, weights, j, 4), _FLOAT, 1))
                row = _at(builder, column, builder.mul(j, width), 4)
                held = builder.load(total)
                builder.store(_multiply_add(builder, weight, _load(builder, row, _FLOAT, LANES), held), total)
            _store(builder, builder.load(total), place)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 5), generate


__all__ = ["PAGE", "_call", "exponential", "floats", "integers", "page_mix", "page_scores"]
