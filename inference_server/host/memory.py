"""How much memory this process may still take, and how it is shared out. Knows nothing of models."""

import contextlib
import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/")
KEPT = 8  # one byte in so many is for distributions
BUNDLED = 16  # of the rest, one byte in so many is the bundled model's where there are others: its tokens are small


@dataclass(frozen=True, slots=True)
class Shares:
    """What the bytes for what is kept are divided into; together they are never more."""

    distributions: int
    """Of all models."""
    stored_by_bundled: int
    """Keys and values of the bundled model."""
    stored_by_each: int
    """Keys and values of each other model."""


def divide(total: int, others: int) -> Shares:
    """What the bundled model and so many others may keep.

    Keys and values take memory only as they are first used: what a small model can't fill is never taken.
    """
    distributions = total // KEPT
    stored = total - distributions
    bundled = stored // BUNDLED if others else stored
    return Shares(distributions, bundled, (stored - bundled) // max(1, others))


def give_back() -> None:
    """Hands the system what the C library keeps of freed memory; nothing where it is another one than glibc."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def available(root: Path = ROOT) -> int | None:
    """Bytes that the machine and this process's control groups still allow; None where the system does not say."""
    allowed = [*_machine(root), *_groups(root)]
    return max(0, min(allowed)) if allowed else None


def _machine(root: Path) -> Iterator[int]:
    for line in lines(root / "proc/meminfo"):
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            yield int(value.split()[0]) * 1024


def _groups(root: Path) -> Iterator[int]:
    """What each control group around the process leaves; file pages it can give back count as free."""
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
    """The lines of a file; none where it can't be read."""
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def number(path: Path) -> int | None:
    """The number in a file; None where there is none, as in a limit of `max`."""
    first = next(iter(lines(path)), "")
    return int(first) if first.isdigit() else None
