"""Sixteen numbers looked up in vector registers, in LLVM IR."""

import platform
import struct
from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from inference_server.cpu.kernels.registers import FLOATS, WORDS, constants
from inference_server.cpu.kernels.tiles import LANES, X86, _call, has_feature

_BYTE, _WORD = ir.IntType(8), ir.IntType(32)


def look_up(builder: Any, places: Any, table: Sequence[float]) -> Any:
    """The numbers of a table of 16, float32 ones, at LANES places."""
    machine = platform.machine()
    if machine in X86 and has_feature("avx512f" if LANES == 16 else "avx2"):
        return _permuted(builder, places, table)
    if machine in ("aarch64", "arm64"):
        return _of_bytes(builder, places, table)
    return _selected(builder, places, table)


def _permuted(builder: Any, places: Any, table: Sequence[float]) -> Any:
    """By x86's permutations of a register, which read the lowest bits of a place."""
    name = "llvm.x86.avx512.permvar.sf.512" if LANES == 16 else "llvm.x86.avx2.permps"
    parts = [ir.Constant(FLOATS, list(table[at : at + LANES])) for at in range(0, 16, LANES)]
    found = [_call(builder, name, FLOATS, [part, places]) for part in parts]
    return found[0] if LANES == 16 else builder.select(_bit(builder, places, 3), found[1], found[0])


def _of_bytes(builder: Any, places: Any, table: Sequence[float]) -> Any:
    """By arm64's table of 64 bytes: a number is at four times its place."""
    sixteen = ir.VectorType(_BYTE, 16)
    held = struct.pack("<16f", *table)
    registers = [ir.Constant(sixteen, list(held[at : at + 16])) for at in range(0, 64, 16)]
    first = builder.mul(places, constants(0x04040404))
    every = builder.bitcast(builder.add(first, constants(0x03020100)), ir.VectorType(_BYTE, 4 * LANES))
    found = []
    for at in range(0, 4 * LANES, 16):
        mask = ir.Constant(ir.VectorType(_WORD, 16), list(range(at, at + 16)))
        part = builder.shuffle_vector(every, ir.Constant(every.type, ir.Undefined), mask)
        found.append(_call(builder, "llvm.aarch64.neon.tbl4.v16i8", sixteen, [*registers, part]))
    mask = ir.Constant(ir.VectorType(_WORD, 4 * LANES), list(range(4 * LANES)))
    return builder.bitcast(builder.shuffle_vector(found[0], found[1], mask), FLOATS)


def _selected(builder: Any, places: Any, table: Sequence[float]) -> Any:
    """By choosing between halves of the table, bit by bit."""
    found = [ir.Constant(FLOATS, [number] * LANES) for number in table]
    for bit in range(4):
        chosen = _bit(builder, places, bit)
        found = [builder.select(chosen, found[at + 1], found[at]) for at in range(0, len(found), 2)]
    return found[0]


def _bit(builder: Any, places: Any, bit: int) -> Any:
    return builder.icmp_unsigned("!=", builder.and_(places, constants(1 << bit)), ir.Constant(WORDS, [0] * LANES))
