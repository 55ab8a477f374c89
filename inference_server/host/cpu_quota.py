"""The process's CPU quota."""

import math
from collections.abc import Iterator
from pathlib import Path

from inference_server.host.memory import ROOT, lines, number


def allowed(root: Path = ROOT) -> int | None:
    """The cgroup CPU limit, rounded up to whole CPUs; None: unlimited."""
    limits = list(_group_limits(root))
    return max(1, math.ceil(min(limits))) if limits else None


def _group_limits(root: Path) -> Iterator[float]:
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
            for line_v2 in lines(folder / "cpu.max"):
                quota, period = (int(part) if part.isdigit() else None for part in line_v2.split())
            if quota and period:
                yield quota / period
            if folder == mount:
                break
