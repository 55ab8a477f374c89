"""Product tiles, compiled here for arm64: they are vector instructions from end to end, and call nothing."""

import re
from functools import cache

import llvmlite.binding
import pytest
from llvmlite import ir

from inference_server.cpu.kernels import processor as instructions
from inference_server.cpu.kernels.checkpoint_blocks import CODEBOOKS
from inference_server.cpu.kernels.layouts import BFLOAT16, FLOAT16, FLOAT32, LAYOUTS
from inference_server.cpu.kernels.packed import packed_tile, widen_row
from inference_server.cpu.kernels.processor import LANES
from inference_server.cpu.kernels.tiles import plain_tile

PLAIN = {BFLOAT16: "bfloat16", FLOAT16: "float16", FLOAT32: "float32"}
VOID, NUMBER = ir.VoidType(), ir.IntType(64)
SYSTEMS = [("aarch64-unknown-linux-gnu", "neoverse-n1"), ("arm64-apple-macosx", "apple-m1")]
each_system = pytest.mark.parametrize(("triple", "processor"), SYSTEMS, ids=["linux", "macos"])

pytestmark = pytest.mark.skipif(LANES != 8, reason="tiles here are those for AVX-512")


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Codebooks are looked up by other instructions than on this machine."""
    monkeypatch.setattr("platform.machine", lambda: "aarch64")


@cache
def machine(triple: str, processor: str) -> llvmlite.binding.TargetMachine:
    llvmlite.binding.initialize_all_targets()
    llvmlite.binding.initialize_all_asmprinters()
    target = llvmlite.binding.Target.from_triple(triple)
    return target.create_target_machine(cpu=processor, opt=3, reloc="pic")


def tile(kind: int, rows: int, outputs: int) -> ir.Module:
    """A tile as a function of x, w, width, y, y_stride, sums, following, pace."""
    module = ir.Module()
    function = ir.Function(module, ir.FunctionType(VOID, [NUMBER] * 8), "tile")
    builder = ir.IRBuilder(function.append_basic_block())
    x, w, width, y, y_stride, sums, following, pace = function.args
    if kind in PLAIN:
        plain_tile(builder, x, w, width, y, y_stride, following, pace, rows, outputs, kind, 4 if rows == 1 else 1)
    else:
        packed_tile(builder, x, w, width, y, y_stride, sums, following, pace, rows, outputs, kind)
    builder.ret_void()
    return module


def assembly(module: ir.Module, triple: str, processor: str) -> str:
    parsed, to = llvmlite.binding.parse_assembly(str(module)), machine(triple, processor)
    parsed.triple, parsed.data_layout = triple, str(to.target_data)
    parsed.verify()
    tuning = llvmlite.binding.create_pipeline_tuning_options(speed_level=3)
    builder = llvmlite.binding.create_pass_builder(to, tuning)
    builder.getModulePassManager().run(parsed, builder)
    return str(to.emit_assembly(parsed))


def calls(code: str) -> list[str]:
    return re.findall(r"\tbl\t(\S+)", code)


@each_system
@pytest.mark.parametrize(("rows", "outputs"), [(1, 1), (4, 3)])
@pytest.mark.parametrize("kind", [*PLAIN, *LAYOUTS])
def test_a_product_is_fused_multiplications_of_whole_vectors(
    kind: int, rows: int, outputs: int, triple: str, processor: str
) -> None:
    code = assembly(tile(kind, rows, outputs if kind in PLAIN else min(outputs, 2)), triple, processor)
    assert calls(code) == []
    assert len(re.findall(r"\tfmla(?:\.4s\t|\tv\d+\.4s)", code)) >= 2 * rows  # eight lanes are two registers
    assert "prfm\tpldl2" in code


@each_system
@pytest.mark.parametrize("kind", LAYOUTS)
def test_a_row_is_widened_in_registers(kind: int, triple: str, processor: str) -> None:
    module = ir.Module()
    function = ir.Function(module, ir.FunctionType(VOID, [NUMBER] * 3), "widen")
    builder = ir.IRBuilder(function.append_basic_block())
    widen_row(builder, kind, *function.args)
    builder.ret_void()
    code = assembly(module, triple, processor)
    assert calls(code) == []
    looked_up = r"\ttbl(?:\.16b\t|\tv\d+\.16b)"
    assert re.search(looked_up if kind in CODEBOOKS else r"\t[su]cvtf(?:\.4s\t|\tv\d+\.4s)", code)


def test_no_instructions_are_missed_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that the kernels need is in every arm64 processor, which names it otherwise."""
    monkeypatch.setattr("llvmlite.binding.get_host_cpu_features", lambda: {"neon": True, "fp-armv8": True})
    for name in ("aarch64", "arm64"):
        monkeypatch.setattr("platform.machine", lambda name=name: name)
        for kind in (*PLAIN, *LAYOUTS):
            instructions.require(kind)
