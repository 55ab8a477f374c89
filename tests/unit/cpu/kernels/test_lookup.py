"""Sixteen numbers looked up in registers, by this processor's own instructions and by those that any has."""

import ctypes

import llvmlite.binding
import numpy as np
import pytest
from llvmlite import ir

from inference_server.cpu.kernels import codebooks
from inference_server.cpu.kernels.lookup import look_up
from inference_server.cpu.kernels.processor import LANES
from inference_server.cpu.kernels.registers import FLOATS

ADDRESS = ir.IntType(64)


def looked_up(table: tuple[float, ...], places: list[int]) -> list[float]:
    """32 places through a function of two addresses."""
    module = ir.Module()
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [ADDRESS] * 2), "look_up")
    builder = ir.IRBuilder(function.append_basic_block())
    source, target = function.args
    for at, vector in enumerate(look_up(builder, source, table)):
        to = builder.add(target, ir.Constant(ADDRESS, at * LANES * 4))
        builder.store(vector, builder.inttoptr(to, FLOATS.as_pointer()), align=4)
    builder.ret_void()
    llvmlite.binding.initialize_native_target()
    llvmlite.binding.initialize_native_asmprinter()
    features = llvmlite.binding.get_host_cpu_features().flatten()
    host = llvmlite.binding.Target.from_default_triple().create_target_machine(
        cpu=llvmlite.binding.get_host_cpu_name(), features=features
    )
    engine = llvmlite.binding.create_mcjit_compiler(llvmlite.binding.parse_assembly(str(module)), host)
    engine.finalize_object()
    call = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64)(engine.get_function_address("look_up"))
    fours = [(places[at : at + 4], places[at + 4 : at + 8]) for at in range(0, 32, 8)]
    held = np.array([low + 16 * high for four in fours for low, high in zip(*four, strict=True)], np.uint8)
    found = np.full(32, np.nan, np.float32)
    call(held.ctypes.data, found.ctypes.data)
    return [float(each) for each in found]


@pytest.mark.parametrize("machine", ["", "riscv64"], ids=["own", "any"])
@pytest.mark.parametrize("table", [codebooks.NORMAL, codebooks.FLOAT], ids=["nf4", "fp4"])
def test_each_place_has_its_number(table: tuple[float, ...], machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if machine:
        monkeypatch.setattr("platform.machine", lambda: machine)
    places = [*range(16), *(5 * place % 16 for place in range(16))]
    assert looked_up(table, places) == [table[place] for place in places]
