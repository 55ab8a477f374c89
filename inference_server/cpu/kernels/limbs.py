"""A row of numbers as limbs: whole numbers in signed bytes, which x86 multiplies fastest.

A group of 32 numbers is c·X: a power of two, and whole numbers of which the largest uses 23 bits and a sign. X is three
limbs of a signed byte each, X = 65536·X₂ + 256·X₁ + X₀. `limb_tiles` multiplies them by weights of four to six bits;
all sums within a group are exact.
"""

import platform
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from inference_server.cpu.kernels.intrinsics import array_of, as_float, floats, jit
from inference_server.cpu.kernels.layouts import Q4_0, Q4_1, Q4_K, Q5_K, Q6_K, U4
from inference_server.cpu.kernels.processor import LANES, X86, has_feature
from inference_server.cpu.kernels.registers import constants, shuffled, splat
from inference_server.cpu.kernels.tiles import _call, _load, _number, _vector

HALVES = {Q4_0: 16, Q4_1: 16, U4: 16, Q4_K: 32, Q5_K: 32, Q6_K: 64}
"""Of the kinds multiplied so: how many weights in a row are lower halves of bytes; as many behind are upper ones."""
GROUP = 32
STEP = 128  # numbers that meet 64 bytes of weights
GROUPS = STEP // GROUP
LIMBS = 3
VECTOR = STEP // 2  # bytes
LIMB_BYTES = 2 * (LIMBS + 1) * VECTOR  # of a step, with the sums of fours
HEAD_BYTES = 2 * GROUPS * 4  # of a step
_ABOVE = (
    0x10102  # added to bits: takes numbers whose X is above 0x7F7F7F, the most in three limbs, to the next exponent
)
_INFINITE = 255  # the exponent of infinity and NaN
_small, _bits = array_of(np.int8), array_of(np.int32)


def half_of(kind: int) -> int:
    """As HALVES says; 0 if a single row is not multiplied so on this processor."""
    able = platform.machine() in X86 and LANES == 16 and has_feature("avx512bw") and has_feature("avx512vnni")
    return HALVES.get(kind, 0) if able else 0


@intrinsic
def _put_limbs(typing: Any, x: Any, inverse: Any, target: Any) -> Any:
    """Writes the limbs of LANES numbers at x over their group's scale, and the sums of fours; returns that of all."""
    words, small = _vector(ir.IntType(32), LANES), _vector(ir.IntType(8), LANES)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        numbers = builder.fmul(_load(builder, arguments[0], ir.FloatType(), LANES), splat(builder, arguments[1]))
        whole = builder.fptosi(_call(builder, f"llvm.rint.v{LANES}f32", numbers.type, [numbers]), words)
        # With 128 added to each, limbs are digits from 0 to 255; flipping a digit's top bit takes that off again.
        middle = constants(0x808080)
        limbs = builder.xor(builder.add(whole, middle), middle)
        for limb in range(LIMBS):
            own = builder.trunc(builder.lshr(limbs, constants(8 * limb)), small)
            at = builder.add(arguments[2], _number(2 * VECTOR * limb))
            builder.store(own, builder.inttoptr(at, small.as_pointer()), align=LANES)
        fours = whole
        for step in (1, 2):
            fours = builder.add(fours, shuffled(builder, fours, fours, [lane ^ step for lane in range(LANES)]))
        own = shuffled(builder, fours, fours, range(0, LANES, 4))
        at = builder.add(arguments[2], _number(2 * VECTOR * LIMBS))
        builder.store(own, builder.inttoptr(at, own.type.as_pointer()), align=LANES)
        return _call(builder, f"llvm.vector.reduce.add.v{LANES}i32", words.element, [whole])

    return types.int32(types.intp, types.float32, types.intp), generate


_put: Any = _put_limbs


@jit
def room_for(width: int) -> Any:
    """Bytes that take_apart fills."""
    return steps_of(width) * (LIMB_BYTES + HEAD_BYTES)


@jit
def steps_of(width: int) -> int:
    """The last one may be of fewer numbers."""
    return (width + STEP - 1) // STEP


@jit
def take_apart(x: int, width: int, half: int, target: int) -> None:
    """The row of `width` numbers at x as tiles read it; `half` as in HALVES.

    For each step come the first limbs of those that meet lower halves and of those that meet upper ones, then second
    and third limbs, then the sums of four numbers each; behind all steps, for each, its groups' scales and sums in
    float32. What the last one lacks is 0. All sums are of what the limbs hold, so that an offset takes off what levels
    around it multiply too much. A group whose numbers are not all finite has NaN for both.
    """
    groups, steps = width // GROUP, steps_of(width)
    heads = floats(target + steps * LIMB_BYTES, 2 * GROUPS * steps)
    if steps * GROUPS > groups:
        _clear(target + (steps - 1) * LIMB_BYTES, LIMB_BYTES)
        _clear(target + steps * LIMB_BYTES + (steps - 1) * HEAD_BYTES, HEAD_BYTES)
    for group in range(groups):
        step = group // GROUPS
        # That of the largest number, or the next if its limbs would not fit.
        exponent = np.int32((_most(x + group * GROUP * 4) + _ABOVE) >> 23)
        scale, inverse = np.float32(0), np.float32(0)
        if exponent >= _INFINITE:
            scale = np.float32(np.nan)
        elif exponent >= 23:
            scale, inverse = as_float(np.int32((exponent - 22) << 23)), as_float(np.int32((276 - exponent) << 23))
        total = np.int32(0)
        for number in range(group * GROUP, (group + 1) * GROUP, LANES):
            part = number // half
            place = (part // 2 * half + number % half) % VECTOR + part % 2 * VECTOR
            total += _put(x + number * 4, inverse, target + step * LIMB_BYTES + place)
        head = step * 2 * GROUPS + group % GROUPS
        heads[head], heads[head + GROUPS] = scale, np.float32(total) * scale


@jit
def _most(x: int) -> Any:
    """The largest absolute number of a group, as bits, which are in the same order; infinity and NaN are above all."""
    bits, most = _bits(x, GROUP), np.int32(0)
    for i in range(GROUP):
        size = np.int32(bits[i] & np.int32(0x7FFFFFFF))
        most = size if size > most else most
    return most


@jit
def _clear(address: int, count: int) -> None:
    numbers = _small(address, count)
    for i in range(count):
        numbers[i] = 0
