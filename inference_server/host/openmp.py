"""torch's OpenMP runtime and its threads."""

import contextlib
import ctypes
import platform
from collections.abc import MutableMapping
from functools import cache
from pathlib import Path

SPINS = 1_000_000 if platform.machine() == "aarch64" else 30_000
"""About a millisecond. On x86, each waits for 30 to 50 ns, less on old CPUs; on arm64, GNU's runtime only loads and
compares, in about one."""
SOFT = 1  # omp_pause_soft: keeps the runtime's settings


def prepare(environment: MutableMapping[str, str]) -> None:
    """Sets how long OpenMP threads spin before they sleep, unless the operator has. Call before importing torch.

    GNU's default is ten times as long and wastes CPU time when other programs are busy. With much less, threads would
    sleep between two parts of a step.
    """
    if "OMP_WAIT_POLICY" not in environment:
        environment.setdefault("GOMP_SPINCOUNT", str(SPINS))


@cache
def runtime() -> ctypes.CDLL | None:
    """The OpenMP library that torch uses; None if torch doesn't bundle one."""
    import torch  # after prepare

    folder = Path(torch.__file__).parent / "lib"
    for path in (*sorted(folder.glob("libgomp*")), *sorted(folder.glob("libomp*"))):
        with contextlib.suppress(OSError):
            return ctypes.CDLL(str(path))
    return None


def dismiss() -> None:
    """Ends the calling thread's OpenMP helper threads until it computes again.

    GNU's runtime counts the helpers of all threads. While there are more than CPUs, even idle ones, none spins; each
    sleeps and must be woken, hundreds of times per forward pass. Other runtimes are left alone: they don't count, and
    might end the helpers of all threads.
    """
    library = runtime()
    if library is not None and _is_gnu(library):
        with contextlib.suppress(AttributeError):  # older than OpenMP 5
            library.omp_pause_resource_all(SOFT)


def do_without() -> None:
    """The calling thread has no helpers from now on, so that those of another one spin; see dismiss."""
    import torch  # after prepare

    torch.get_num_threads()  # at first, it would set the thread's number
    library = runtime()
    if library is not None and _is_gnu(library):
        library.omp_set_num_threads(1)


def _is_gnu(library: ctypes.CDLL) -> bool:
    return Path(library._name).name.startswith("libgomp")
