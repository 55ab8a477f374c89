"""Runs kernels on torch's own OpenMP threads, so that the two don't compete for cores."""

import ctypes
from functools import cache
from typing import Any

import llvmlite.binding
from numpy.typing import NDArray

from inference_server.cpu.kernels import objects, processor
from inference_server.cpu.kernels.objects import Kernel
from inference_server.host import openmp

_SYMBOLS = {
    "next_token_thread": "omp_get_thread_num",
    "next_token_threads": "omp_get_num_threads",
    "next_token_meet": "GOMP_barrier",
}


class NoTeamError(Exception):
    """torch's OpenMP threads are not accessible on this platform."""


class Body:
    """A kernel that all threads run on one table."""

    def __init__(self, kernel: Kernel) -> None:
        """Loads or compiles it. Raises NoTeamError."""
        self._start = _start()
        self._address = objects.address(kernel)

    def run(self, table: NDArray[Any], threads: int) -> None:
        """Runs it on a table of int64 numbers, or records of them, and waits without the GIL."""
        self._start(self._address, table.ctypes.data, threads, 0)


@cache
def body(kernel: Kernel) -> Body:
    """A kernel, loaded or compiled once. Raises NoTeamError."""
    return Body(kernel)


@cache
def function(kernel: Kernel, kind: int) -> int:
    """The address of a kernel for one kind of weights, which bodies call. Raises NoTeamError and ProcessorError."""
    processor.require(kind)
    _start()
    return objects.address(kernel, kind)


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
