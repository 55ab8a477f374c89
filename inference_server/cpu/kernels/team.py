"""Runs a kernel on torch's own OpenMP threads, so that the two don't compete for cores.

Every thread runs the same compiled body on one int64 table of addresses, counts and strides. In a body, `here` is the
thread's number, `size` the number of threads, `meet` a barrier.
"""

import ctypes
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import cfunc, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from inference_server.host import openmp

BODY = types.void(types.CPointer(types.int64))
FUNCTION = types.void(*[types.int64] * 8)
here: Any = types.ExternalFunction("next_token_thread", types.int32())
size: Any = types.ExternalFunction("next_token_threads", types.int32())
meet: Any = types.ExternalFunction("next_token_meet", types.void())
SOURCES = int.from_bytes(
    sha256(b"".join(p.read_bytes() for p in sorted(Path(__file__).parent.glob("*.py")))).digest()[:6]
)
_SYMBOLS = {
    "next_token_thread": "omp_get_thread_num",
    "next_token_threads": "omp_get_num_threads",
    "next_token_meet": "GOMP_barrier",
}


class NoTeamError(Exception):
    """torch's OpenMP threads are not accessible on this platform."""


@cache
def _start() -> Any:
    """GOMP_parallel. Raises NoTeamError."""
    library: Any = openmp.runtime()
    try:
        for ours, theirs in _SYMBOLS.items():
            llvmlite.binding.add_symbol(ours, ctypes.cast(getattr(library, theirs), ctypes.c_void_p).value)
        start = library.GOMP_parallel
    except AttributeError:
        raise NoTeamError("torch's OpenMP runtime is not accessible") from None
    start.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    start.restype = None
    return start


@intrinsic
def _invoke(typing: Any, address: Any, n0: Any, n1: Any, n2: Any, n3: Any, n4: Any, n5: Any, n6: Any, n7: Any) -> Any:
    """Calls the function at an address with eight numbers."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        at, *numbers = arguments
        kind = ir.FunctionType(ir.VoidType(), [ir.IntType(64)] * len(numbers))
        builder.call(builder.inttoptr(at, kind.as_pointer()), numbers)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 9), generate


invoke: Any = _invoke
_kept: list[Any] = []  # functions that addresses point to


def address_of(function: Callable[..., None]) -> int:
    """The address of a function of eight numbers, compiled or out of numba's cache as a Body is. Raises NoTeamError."""
    _start()
    _kept.append(_compiled(FUNCTION, function))
    return int(_kept[-1].address)


def _compiled(signature: Any, function: Callable[..., None]) -> Any:
    try:
        return cfunc(signature, cache=True)(function)
    except RuntimeError:  # no writable cache
        return cfunc(signature)(function)


class Body:
    """A compiled kernel."""

    def __init__(self, function: Callable[[Any], None]) -> None:
        """Compiles `function(table)`, which takes a pointer to int64, or loads it from numba's cache.

        numba notices changes in the function's own file only. Refer to SOURCES, a hash of all kernel files, as a
        closure variable so that it becomes part of the cache key. Raises NoTeamError.
        """
        self._start = _start()
        self._compiled = _compiled(BODY, function)
        self._address = self._compiled.address

    def run(self, table: NDArray[Any], threads: int) -> None:
        """Runs it on a table of int64 numbers, or records of them, and waits without the GIL."""
        self._start(self._address, table.ctypes.data, threads, 0)
