"""Available memory, and how the cache memory is divided."""

import contextlib
import ctypes
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/")
COMPILER = "libllvmlite"  # 70 MB of it are used to load kernels, none to run them
DONT_NEED = 4  # MADV_DONTNEED
DISTRIBUTIONS = 8  # 1/8 of the cache is for distributions
BUNDLED = 16  # 1/16 of the rest is for the bundled model, if there are others: its tokens are small


@dataclass(frozen=True, slots=True)
class Shares:
    """Cache memory in bytes."""

    distributions: int
    """All models together."""
    stored_by_bundled: int
    """The bundled model's KV cache."""
    stored_by_each: int
    """Each other model's KV cache."""


def divide(total: int, others: int) -> Shares:
    """Divides the cache memory. KV caches are allocated on use, so a small model never takes what it can't fill."""
    distributions = total // DISTRIBUTIONS
    stored = total - distributions
    bundled = stored // BUNDLED if others else stored
    return Shares(distributions, bundled, (stored - bundled) // max(1, others))


def give_back() -> None:
    """Returns what only loading needed to the operating system: freed memory (glibc only), and numba's compiler."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    let_go(COMPILER)


def let_go(library: str, smaps: Path = ROOT / "proc/self/smaps") -> None:
    """Takes what is as in a library's file out of memory, until its code runs again; Linux only.

    Pages that relocation changed stay.
    """
    with contextlib.suppress(OSError, AttributeError):
        release = ctypes.CDLL(None).madvise
        for first, size in untouched(library, lines(smaps)):
            release(ctypes.c_void_p(first), ctypes.c_size_t(size), DONT_NEED)


def untouched(library: str, smaps: Iterable[str]) -> Iterator[tuple[int, int]]:
    """Address and size of the parts of a library's file that can't be written to and never were."""
    first = size = 0
    for line in smaps:
        name, *values = line.split()
        if not name.endswith(":"):
            start, _, end = name.partition("-")
            private = values[0].startswith("r-") and values[0].endswith("p")
            found = private and Path(values[-1]).name.startswith(library)
            first, size = (int(start, 16), int(end, 16) - int(start, 16)) if found else (0, 0)
        elif name == "Anonymous:" and size and values[0] == "0":
            yield first, size


def available(root: Path = ROOT) -> int | None:
    """Bytes available to this process, by machine and cgroup limits; None if unknown."""
    allowed = [*_machine(root), *_groups(root)]
    return max(0, min(allowed)) if allowed else None


def _machine(root: Path) -> Iterator[int]:
    for line in lines(root / "proc/meminfo"):
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            yield int(value.split()[0]) * 1024


def _groups(root: Path) -> Iterator[int]:
    """What each cgroup leaves; reclaimable file pages count as free."""
    for line in lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            mount, limit, usage, reclaimable = "sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"
        elif controllers == "memory":
            mount, limit, usage = "sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
            reclaimable = "total_inactive_file"
        else:
            continue
        inner = root / mount / path.lstrip("/")
        for folder in (inner, *inner.parents):
            ceiling, used = number(folder / limit), number(folder / usage)
            if ceiling is not None and used is not None:
                stat = dict(line.split() for line in lines(folder / "memory.stat"))
                yield ceiling - used + int(stat.get(reclaimable, 0))
            if folder == root / mount:
                break


def lines(path: Path) -> list[str]:
    """A file's lines; none if it can't be read."""
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def number(path: Path) -> int | None:
    """The number in a file; None if there is none, such as for a limit of `max`."""
    first = next(iter(lines(path)), "")
    return int(first) if first.isdigit() else None
