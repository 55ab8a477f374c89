"""What must not grow of a process, over time and between two rests; and what its caches must agree on at rest."""

import asyncio
import contextlib
import itertools
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp
import psutil

from bench.stack import percentile

SAMPLE_S = 0.5
RENEWED_S = 45.0  # longer than a connection between the tiers lives
LOOKED_AHEAD = 16  # prompts at most


@dataclass
class Vitals:
    """One process, and where it tells of itself."""

    process: psutil.Process
    metrics_url: str
    resident: list[float] = field(default_factory=list)

    def sample(self) -> None:
        self.resident.append(float(self.process.memory_info().rss))

    def memory_ratio(self) -> float:
        """Median resident memory of the last third of the time over that of the first."""
        third = max(1, len(self.resident) // 3)
        return percentile(self.resident[-third:], 0.5) / percentile(self.resident[:third], 0.5)

    async def metrics(self) -> str:
        """What Prometheus would read now."""
        async with aiohttp.ClientSession() as web, web.get(self.metrics_url) as answer:
            return await answer.text()

    async def at_rest(self) -> dict[str, int]:
        """Threads, open files with sockets among them, and tasks of the event loop."""
        threads, files = self.process.num_threads(), self.process.num_fds()
        tasks = re.search(r"^nexttoken_\w+_tasks (\S+)$", await self.metrics(), re.MULTILINE)
        assert tasks is not None
        return {"threads": threads, "files": files, "tasks": int(float(tasks[1]))}


@contextlib.asynccontextmanager
async def watched(vitals: list[Vitals]) -> AsyncIterator[None]:
    """Samples processes again and again."""

    async def watch() -> None:
        for _ in itertools.count():
            for each in vitals:
                each.sample()
            await asyncio.sleep(SAMPLE_S)

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()


async def still_grown(vitals: list[Vitals], before: list[dict[str, int]]) -> list[str]:
    """What processes have more of than before, after the time that connections take which are being renewed."""
    until = time.monotonic() + RENEWED_S
    while True:
        now = [await each.at_rest() for each in vitals]
        grown = [
            f"process {each.process.pid}: {name} from {then[name]} to {count}"
            for each, then, counts in zip(vitals, before, now, strict=True)
            for name, count in counts.items()
            if count > then[name]
        ]
        if not grown or time.monotonic() > until:
            return grown
        await asyncio.sleep(1)


def not_accounted_for(metrics: str) -> list[str]:
    """What an inference server that answered the bundled model's readers says of itself and must not, at rest."""
    told = re.findall(r"^nexttoken_inference_(\w+)(?:\{model=\"bundled\"\})? (\S+)$", metrics, re.MULTILINE)
    now = {name: float(value) for name, value in told}
    must = {
        **dict.fromkeys(("requests_in_flight", "queue_depth", "clients"), (0, 0)),
        **dict.fromkeys(("distribution_cache_stray_bytes", "kv_cache_stray_holds"), (0, 0)),
        "kv_cache_open_prompts": (0, LOOKED_AHEAD),
        "distribution_cache_bytes": (1, now["distribution_cache_limit_bytes"]),
        "kv_cache_bytes": (1, now["kv_cache_limit_bytes"]),
    }
    return [
        f"{name} is {now[name]:g}, and not within {least:g} and {most:g}"
        for name, (least, most) in must.items()
        if not least <= now[name] <= most
    ]
