"""The OpenMP runtime that torch computes with, and its threads. Knows nothing of models."""

import contextlib
import ctypes
from functools import cache
from pathlib import Path

import torch

SOFT = 1  # omp_pause_soft: what the program has set stays


@cache
def runtime() -> ctypes.CDLL | None:
    """The very library that torch's own operations call; None where torch brings none."""
    folder = Path(torch.__file__).parent / "lib"
    for path in (*sorted(folder.glob("libgomp*")), *sorted(folder.glob("libomp*"))):
        with contextlib.suppress(OSError):
            return ctypes.CDLL(str(path))
    return None


def dismiss() -> None:
    """Ends the threads that help the calling thread compute, until it computes again.

    Each thread that computes has helpers of its own, and GNU's runtime counts them all: while there are more than
    processors, idle or not, none watches for the next piece of work, but each sleeps and must be woken, hundreds of
    times a forward pass. Other runtimes are left alone: they don't count, and may end all threads' helpers.
    """
    library = runtime()
    if library is not None and Path(library._name).name.startswith("libgomp"):
        with contextlib.suppress(AttributeError):  # older than OpenMP 5
            library.omp_pause_resource_all(SOFT)
