"""The OpenMP runtime that torch computes with, and its threads. Knows nothing of models."""

import contextlib
import ctypes
from collections.abc import MutableMapping
from functools import cache
from pathlib import Path

SPINS = 30_000  # a pause each: 1.5 ms on newer processors, less on others
SOFT = 1  # omp_pause_soft: what the program has set stays


def prepare(environment: MutableMapping[str, str]) -> None:
    """Sets how long a thread watches for its next piece of work before it sleeps, unless the operator has.

    GNU's runtime reads it as torch is imported. Its own choice is ten times as long: where other programs keep the
    processors busy, threads would spend their share of time on waiting for each other. With a much shorter one
    they would sleep between two pieces of a step.
    """
    if "OMP_WAIT_POLICY" not in environment:
        environment.setdefault("GOMP_SPINCOUNT", str(SPINS))


@cache
def runtime() -> ctypes.CDLL | None:
    """The very library that torch's own operations call; None where torch brings none."""
    import torch  # here, so that what must happen before it can

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
