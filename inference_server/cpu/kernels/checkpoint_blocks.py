"""Blocks of 32 weights that bitsandbytes', GPTQ's and AWQ's checkpoints become in memory, in LLVM IR.

Each begins with its scale. U4's levels are in Q4_0's order: the lower halves of 16 bytes, then the upper ones. Places
in a codebook are in that of `lookup`.

| kind | block | weight |
| --- | --- | --- |
| U4, U8 | float16 s, float16 -z, unsigned levels q of 4 or 8 bits | q·s + (-z)·s, which is (q - z)·s rounded once |
| I8 | float32 s, signed bytes q | q·s |
| NF4, FP4 | float32 s, places of 4 bits in a codebook | codebook[place]·s |
"""

from typing import Any

from llvmlite import ir

from inference_server.cpu.kernels import codebooks
from inference_server.cpu.kernels.layouts import FP4, I8, NF4, U4, U8
from inference_server.cpu.kernels.lookup import look_up
from inference_server.cpu.kernels.processor import LANES
from inference_server.cpu.kernels.registers import WORDS, half_bytes, load_bytes, load_halves
from inference_server.cpu.kernels.tiles import _load, _number

KINDS = (U4, U8, I8, NF4, FP4)
CODEBOOKS = {NF4: codebooks.NORMAL, FP4: codebooks.FLOAT}
_FLOAT, _WORD, _BYTE = ir.FloatType(), ir.IntType(32), ir.IntType(8)
_GROUP = 32
_HEAD = 4  # bytes before the levels


def scale_and_offset(builder: Any, kind: int, block: Any) -> tuple[Any, Any]:
    """What a block's weights share; the offset may be None."""
    if kind not in (U4, U8):
        return _load(builder, block, _FLOAT, 1), None
    both = load_halves(builder, block, 0, 2)
    scale, zero = (builder.extract_element(both, ir.Constant(_WORD, lane)) for lane in range(2))
    return scale, builder.fmul(scale, zero)


def levels(builder: Any, kind: int, block: Any) -> list[Any]:
    """A block's numbers before scaling, as vectors in order: 32-bit ones, or float32 out of a codebook."""
    if kind == U8:
        return [load_bytes(builder, block, _HEAD + at) for at in range(0, _GROUP, LANES)]
    if kind == I8:
        narrow = ir.VectorType(_BYTE, LANES)
        places = [builder.add(block, _number(_HEAD + at)) for at in range(0, _GROUP, LANES)]
        loaded = [builder.load(builder.inttoptr(at, narrow.as_pointer()), align=1, typ=narrow) for at in places]
        return [builder.sext(each, WORDS) for each in loaded]
    if kind in CODEBOOKS:
        return look_up(builder, builder.add(block, _number(_HEAD)), CODEBOOKS[kind])
    loaded = [load_bytes(builder, block, _HEAD + at) for at in range(0, _GROUP // 2, LANES)]
    return [half_bytes(builder, each, upper) for upper in (False, True) for each in loaded]
