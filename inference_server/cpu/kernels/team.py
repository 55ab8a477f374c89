"""Several threads on one piece of work: the very threads torch computes with, so that the two never compete.

Every thread of a team runs the same compiled body over one table of int64 numbers; `here` and `size` tell a body its
share, `meet` waits until all have come so far. A table holds addresses, counts and strides.
"""

import ctypes
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import llvmlite.binding
from numba import cfunc, types
from numpy.typing import NDArray

from inference_server.host import openmp

BODY = types.void(types.CPointer(types.int64))
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
    """torch's threads can't be reached on this platform."""


@cache
def _start() -> Any:
    """The call that runs a body in all threads. Raises NoTeamError."""
    library: Any = openmp.runtime()
    try:
        for ours, theirs in _SYMBOLS.items():
            llvmlite.binding.add_symbol(ours, ctypes.cast(getattr(library, theirs), ctypes.c_void_p).value)
        start = library.GOMP_parallel
    except AttributeError:
        raise NoTeamError("torch's OpenMP runtime is not at hand") from None
    start.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    start.restype = None
    return start


class Body:
    """A compiled body, ready to be run by a team."""

    def __init__(self, function: Callable[[Any], None]) -> None:
        """Compiles `function(table)`, a function of a pointer to int64, or finds it compiled. Raises NoTeamError.

        What it calls may lie in other files, so to be found again only while none changed, it must refer to SOURCES
        as a variable of an enclosing function. Kept where numba keeps things: beside its source, in the user's cache
        or in NUMBA_CACHE_DIR.
        """
        self._start = _start()
        try:
            self._compiled = cfunc(BODY, cache=True)(function)
        except RuntimeError:  # nowhere to keep it
            self._compiled = cfunc(BODY)(function)
        self._address = self._compiled.address

    def run(self, table: NDArray[Any], threads: int) -> None:
        """Runs it on a table of int64 numbers, or records of them, and waits without the interpreter's lock."""
        self._start(self._address, table.ctypes.data, threads, 0)
