"""How many processors this process may keep busy. Knows the operating system, and nothing of models."""

import math
from collections.abc import Iterator
from pathlib import Path

from inference_server.host.memory import ROOT, lines, number


def allowed(root: Path = ROOT) -> int | None:
    """Whole processors that the control groups around this process grant, at least one; None where none limits it."""
    granted = list(_groups(root))
    return max(1, math.ceil(min(granted))) if granted else None


def _groups(root: Path) -> Iterator[float]:
    for line in lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            mount = root / "sys/fs/cgroup"
        elif "cpu" in controllers.split(","):
            mount = root / "sys/fs/cgroup" / controllers
        else:
            continue
        inner = mount / path.lstrip("/")
        for folder in (inner, *inner.parents):
            quota, period = number(folder / "cpu.cfs_quota_us"), number(folder / "cpu.cfs_period_us")
            for joined in lines(folder / "cpu.max"):
                quota, period = (int(part) if part.isdigit() else None for part in joined.split())
            if quota and period:
                yield quota / period
            if folder == mount:
                break
