"""Small steps with vectors of LANES numbers, in LLVM IR."""

from collections.abc import Iterable
from typing import Any

from llvmlite import ir

from inference_server.cpu.kernels.processor import LANES
from inference_server.cpu.kernels.tiles import _number, _vector

_FLOAT, _WORD, _BYTE = ir.FloatType(), ir.IntType(32), ir.IntType(8)
WORDS, FLOATS = _vector(_WORD, LANES), _vector(_FLOAT, LANES)


def splat(builder: Any, value: Any) -> Any:
    """A number in all lanes."""
    one = builder.insert_element(ir.Constant(_vector(value.type, LANES), ir.Undefined), value, ir.Constant(_WORD, 0))
    mask = ir.Constant(WORDS, [0] * LANES)
    return builder.shuffle_vector(one, ir.Constant(one.type, ir.Undefined), mask)


def shuffled(builder: Any, some: Any, others: Any, lanes: Iterable[int]) -> Any:
    """Lanes of two vectors: those of the second count on from the first's."""
    mask = [ir.Constant(_WORD, lane) for lane in lanes]
    return builder.shuffle_vector(some, others, ir.Constant(ir.VectorType(_WORD, len(mask)), mask))


def constants(value: int | list[int]) -> Any:
    """Known 32-bit numbers, one for all lanes or one for each."""
    return ir.Constant(WORDS, value if isinstance(value, list) else [value] * LANES)


def load_bytes(builder: Any, address: Any, offset: int, count: int = LANES) -> Any:
    """`count` bytes as 32-bit numbers."""
    kind = ir.VectorType(_BYTE, count)
    pointer = builder.inttoptr(builder.add(address, _number(offset)), kind.as_pointer())
    return builder.zext(builder.load(pointer, align=1, typ=kind), ir.VectorType(_WORD, count))


def load_halves(builder: Any, address: Any, offset: int, count: int) -> Any:
    """`count` float16 numbers as float32."""
    kind = ir.VectorType(ir.HalfType(), count)
    pointer = builder.inttoptr(builder.add(address, _number(offset)), kind.as_pointer())
    return builder.fpext(builder.load(pointer, align=2, typ=kind), ir.VectorType(_FLOAT, count))


def half_bytes(builder: Any, loaded: Any, upper: bool) -> Any:
    """The lower or upper four bits of bytes."""
    return builder.lshr(loaded, constants(4)) if upper else builder.and_(loaded, constants(15))


def as_floats(builder: Any, numbers: Any) -> Any:
    """Whole numbers as float32; others as they are."""
    return numbers if numbers.type == FLOATS else builder.sitofp(numbers, FLOATS)
