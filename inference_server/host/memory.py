"""Available memory, and how the cache memory is divided."""

import contextlib
import ctypes
import mmap
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/")
COMPILER = "libllvmlite"  # loads kernels, and where there are no files of them compiles them; then idle
DONT_NEED = 4  # MADV_DONTNEED
PAGE = mmap.PAGESIZE
OF_A_FILE = 1 << 61  # of a page in /proc/PID/pagemap; the two bits above: in swap, in memory
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
    """Returns what only loading needed to the operating system: freed memory, and LLVM's code."""
    trim()
    let_go(COMPILER)


def trim() -> None:
    """Returns freed memory to the operating system; glibc only."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def let_go(library: str, process: Path = ROOT / "proc/self") -> None:
    """Takes what is as in a library's file out of memory, until its code runs again; Linux only.

    Pages that relocation changed stay.
    """
    with contextlib.suppress(OSError, AttributeError):
        release = ctypes.CDLL(None).madvise
        for first, size in untouched(library, process):
            release(ctypes.c_void_p(first), ctypes.c_size_t(size), DONT_NEED)


def untouched(library: str, process: Path) -> Iterator[tuple[int, int]]:
    """Address and size of the parts of a library's file that can't be written to and never were.

    `smaps` would say it in one word, and walks through all of the process's memory for it.
    """
    for line in lines(process / "maps"):
        place, rights, *_, name = line.split()
        if rights[:2] == "r-" and rights[3] == "p" and Path(name).name.startswith(library):
            first, end = (int(address, 16) for address in place.split("-"))
            with (process / "pagemap").open("rb") as pages:
                pages.seek(first // PAGE * 8)
                entries = array("Q", pages.read((end - first) // PAGE * 8))
            if not any(entry >> 62 and not entry & OF_A_FILE for entry in entries):
                yield first, end - first


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
