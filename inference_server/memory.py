"""How much memory this process may still take. Knows the operating system, and nothing of models."""

from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/")


def available(root: Path = ROOT) -> int | None:
    """Bytes that the machine and this process's control groups still allow; None where the system does not say."""
    allowed = [*_machine(root), *_groups(root)]
    return max(0, min(allowed)) if allowed else None


def _machine(root: Path) -> Iterator[int]:
    for line in _lines(root / "proc/meminfo"):
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            yield int(value.split()[0]) * 1024


def _groups(root: Path) -> Iterator[int]:
    """What each control group around the process leaves; file pages it can give back count as free."""
    for line in _lines(root / "proc/self/cgroup"):
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
            ceiling, used = _number(folder / limit), _number(folder / usage)
            if ceiling is not None and used is not None:
                stat = dict(line.split() for line in _lines(folder / "memory.stat"))
                yield ceiling - used + int(stat.get(reclaimable, 0))
            if folder == root / mount:
                break


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def _number(path: Path) -> int | None:
    """The number in a file; None where there is none, as in a limit of `max`."""
    first = next(iter(_lines(path)), "")
    return int(first) if first.isdigit() else None
