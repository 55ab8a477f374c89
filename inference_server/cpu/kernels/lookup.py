"""Sixteen numbers looked up in vector registers, in LLVM IR."""

import platform
import struct
from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from inference_server.cpu.kernels.processor import LANES, X86, has_feature
from inference_server.cpu.kernels.registers import FLOATS, constants, half_bytes, load_bytes, shuffled
from inference_server.cpu.kernels.tiles import _call

_BYTE, _WORD = ir.IntType(8), ir.IntType(32)


def look_up(builder: Any, block: Any, table: Sequence[float]) -> list[Any]:
    """The numbers of a table of 16, float32 ones, at the 32 places in 16 bytes at an address: vectors in order.

    Of every eight places, the first four are the lower halves of four bytes, the others their upper halves.
    """
    machine = platform.machine()
    if machine in X86 and LANES == 8 and has_feature("avx2"):
        return _of_planes(builder, block, table)
    find = _selected
    if machine in X86 and LANES == 16:
        find = _permuted
    elif machine in ("aarch64", "arm64"):
        find = _of_bytes
    found = []
    for at in range(0, 16, LANES):
        loaded = load_bytes(builder, block, at)
        low, high = (find(builder, half_bytes(builder, loaded, upper), table) for upper in (False, True))
        fours = [of + 4 * four for four in range(LANES // 4) for of in (0, LANES)]
        lanes = [first + lane for first in fours for lane in range(4)]
        for first in (0, LANES):
            found.append(shuffled(builder, low, high, lanes[first : first + LANES]))
    return found


def _of_planes(builder: Any, block: Any, table: Sequence[float]) -> list[Any]:
    """By x86's look-up of 32 bytes in a table of 16, once for each byte of a number, and interleaving of those."""
    narrow, wide = ir.VectorType(_BYTE, 16), ir.VectorType(_BYTE, 32)
    loaded = builder.load(builder.inttoptr(block, narrow.as_pointer()), align=1, typ=narrow)
    low = builder.and_(loaded, ir.Constant(narrow, [15] * 16))
    high = builder.lshr(loaded, ir.Constant(narrow, [4] * 16))
    places, held = shuffled(builder, low, high, list(range(32))), struct.pack("<16f", *table)
    planes = [
        _call(builder, "llvm.x86.avx2.pshuf.b", wide, [ir.Constant(wide, list(held[at::4]) * 2), places])
        for at in range(4)
    ]
    found = []
    for upper in (0, 1):
        pairs = [_interleaved(builder, planes[at], planes[at + 1], upper) for at in (0, 2)]
        halves = [builder.bitcast(each, ir.VectorType(ir.IntType(16), 16)) for each in pairs]
        found += [builder.bitcast(_interleaved(builder, halves[0], halves[1], end), FLOATS) for end in (0, 1)]
    return found


def _interleaved(builder: Any, some: Any, others: Any, upper: int) -> Any:
    """The lower or upper halves of both halves of two vectors, number by number, as AVX2's instructions do."""
    count = some.type.count
    quarter = count // 4
    starts = [2 * quarter * half + quarter * upper for half in (0, 1)]
    lanes = [start + at + count * vector for start in starts for at in range(quarter) for vector in (0, 1)]
    return shuffled(builder, some, others, lanes)


def _permuted(builder: Any, places: Any, table: Sequence[float]) -> Any:
    """By AVX-512's permutation of a register."""
    name = "llvm.x86.avx512.permvar.sf.512"
    return _call(builder, name, FLOATS, [ir.Constant(FLOATS, list(table)), places])


def _of_bytes(builder: Any, places: Any, table: Sequence[float]) -> Any:
    """By arm64's table of 64 bytes: a number is at four times its place."""
    sixteen = ir.VectorType(_BYTE, 16)
    held = struct.pack("<16f", *table)
    registers = [ir.Constant(sixteen, list(held[at : at + 16])) for at in range(0, 64, 16)]
    first = builder.mul(places, constants(0x04040404))
    every = builder.bitcast(builder.add(first, constants(0x03020100)), ir.VectorType(_BYTE, 4 * LANES))
    found = []
    for at in range(0, 4 * LANES, 16):
        part = shuffled(builder, every, ir.Constant(every.type, ir.Undefined), list(range(at, at + 16)))
        found.append(_call(builder, "llvm.aarch64.neon.tbl4.v16i8", sixteen, [*registers, part]))
    return builder.bitcast(shuffled(builder, found[0], found[1], list(range(4 * LANES))), FLOATS)


def _selected(builder: Any, places: Any, table: Sequence[float]) -> Any:
    """By choosing between halves of the table, bit by bit."""
    found = [ir.Constant(FLOATS, [number] * LANES) for number in table]
    for bit in range(4):
        one = builder.and_(places, constants(1 << bit))
        chosen = builder.icmp_unsigned("!=", one, constants(0))
        found = [builder.select(chosen, found[at + 1], found[at]) for at in range(0, len(found), 2)]
    return found[0]
