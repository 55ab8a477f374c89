"""Compiles kernels with numba to object code that needs neither numba nor Python where it runs."""

import ctypes
from importlib import import_module
from typing import Any

from llvmlite import ir
from numba import types
from numba.core.compiler import Flags, compile_extra
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target

from inference_server.cpu.kernels.objects import SYMBOL, Kernel

OURS = "next_token_"  # prefix of the functions that object code finds where it is loaded; the others are C's


class OutsideError(Exception):
    """A kernel calls what is not there where its object code runs."""


def compiled(kernel: Kernel, kind: int | None = None) -> bytes:
    """A kernel's object code, for one kind of weights where it has several. Raises OutsideError.

    Of a kernel for all threads, SYMBOL is a function of its table's address, of others one of eight numbers.
    """
    module, _, name = kernel.partition(":")
    found = getattr(import_module(f"{__package__}.{module}"), name)
    function, numbers = (found, 1) if kind is None else (found(kind), 8)
    typing, target = cpu_target.typing_context, cpu_target.target_context
    flags: Any = Flags()
    flags.error_model, flags.no_compile = "numpy", True
    flags.no_cpython_wrapper = flags.no_cfunc_wrapper = True
    with global_compiler_lock:
        made: Any = compile_extra(typing, target, function, [types.int64] * numbers, types.void, flags, {})
        made.library.add_ir_module(_entry(target, made.fndesc))
        made.library.finalize()
    outside = {each.name for each in made.library._final_module.functions if each.is_declaration}
    here = ctypes.CDLL(None)
    missing = [name for name in outside if not name.startswith(("llvm.", OURS)) and not hasattr(here, name)]
    if missing:
        raise OutsideError(f"{kernel} calls {', '.join(sorted(missing))}")
    _, _, (code, _) = made.library.serialize_using_object_code()
    return bytes(code)


def _entry(target: Any, described: Any) -> ir.Module:
    """SYMBOL, which calls the compiled function. It has no status: kernels raise nothing."""
    module = target.create_module("entry")
    numbers = [ir.IntType(64)] * len(described.argtypes)
    inner = ir.Function(
        module, target.call_conv.get_function_type(described.restype, described.argtypes), described.llvm_func_name
    )
    outer = ir.Function(module, ir.FunctionType(ir.VoidType(), numbers), SYMBOL)
    builder = ir.IRBuilder(outer.append_basic_block())
    target.call_conv.call_function(builder, inner, described.restype, described.argtypes, outer.args)
    builder.ret_void()
    return module
