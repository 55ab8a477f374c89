"""Hours in short: mixed work with clients that leave and requests that are wrong, and whether anything grows.

`python -m bench.soak MINUTES`, or `make soak`; ten minutes are the measure.
"""

import asyncio
import contextlib
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from bench.stack import running
from bench.vitals import Vitals, not_accounted_for, still_grown, watched

WORKERS = 6
WORDS = [
    "once",
    "upon",
    "a",
    "time",
    "there",
    "was",
    "little",
    "girl",
    "who",
    "liked",
    "to",
    "play",
    "with",
    "her",
    "dog",
]
POOL_THREADS = 6  # of asyncio's own pool on two cores
SETTLED_S = 3.0  # after the first work, for what ends by itself
CACHE_MB = "48"  # full soon: what is kept then no longer grows


@dataclass
class Soaked:
    """What became of the work: each kind and status that came, and those that should not have come."""

    outcomes: Counter[tuple[str, int]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def __add__(self, more: "Soaked") -> "Soaked":
        return Soaked(self.outcomes + more.outcomes, self.wrong + more.wrong)


class Work:
    """One worker's requests, drawn from a seed."""

    def __init__(self, web: aiohttp.ClientSession, url: str, seed: int, soaked: Soaked) -> None:
        self.web, self.url, self.soaked = web, url, soaked
        self.draw = random.Random(seed)
        self.session = {"x-session": f"soak-{seed}"}

    async def step(self) -> None:
        """One request of some kind."""
        kinds: list[tuple[int, Callable[[], Any]]] = [
            (10, self.ask), (2, self.score), (2, self.leave), (3, self.wrong), (1, self.models), (1, self.events),
        ]  # fmt: skip
        await self.draw.choices([kind for _, kind in kinds], [weight for weight, _ in kinds])[0]()

    def text(self, most: int = 60) -> str:
        return " ".join(self.draw.choices(WORDS, k=self.draw.randint(1, most)))

    async def ask(self) -> None:
        query = {
            "text": self.text(),
            "top_k": self.draw.randint(1, 50),
            "temperature": self.draw.choice([0, 0.5, 1, 2]),
        }
        await self.post("ask", "next-token", query, {200, 429})

    async def score(self) -> None:
        await self.post("score", "score", {"text": self.text(), "top_k": 3}, {200, 429})

    async def leave(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.draw.uniform(0, 0.05)):
                await self.post("leave", "next-token", {"text": self.text(300)}, {200, 429})

    async def wrong(self) -> None:
        faults: list[tuple[dict[str, Any], int]] = [
            ({"text": "x", "top_k": 0}, 400), ({"text": 5}, 400), ({"text": "x", "temperature": -1}, 400),
            ({"text": "x", "nonsense": 1}, 400), ({"text": "x", "model": "absent"}, 404),
            ({"token_ids": [1 << 40]}, 400), ({"text": "word " * 5_000}, 400),
        ]  # fmt: skip
        query, status = self.draw.choice(faults)
        await self.post("wrong", "next-token", query, {status, 429})

    async def models(self) -> None:
        async with self.web.get(f"{self.url}/api/models") as answer:
            self.note("models", answer.status, await answer.text(), {200})

    async def events(self) -> None:
        async with self.web.get(f"{self.url}/api/models/events") as answer:
            await answer.content.readline()
            self.note("events", answer.status, "", {200})

    async def post(self, kind: str, path: str, query: dict[str, Any], expected: set[int]) -> None:
        query = {"model": "bundled", **query}
        async with self.web.post(f"{self.url}/api/{path}", json=query, headers=self.session) as answer:
            self.note(kind, answer.status, await answer.text(), expected)

    def note(self, kind: str, status: int, body: str, expected: set[int]) -> None:
        self.soaked.outcomes[kind, status] += 1
        if status not in expected:
            self.soaked.wrong.append(f"{kind}: {status} {body[:200]}")


async def work(url: str, seconds: float) -> Soaked:
    """Mixed work by WORKERS workers for so long."""
    soaked = Soaked()
    over = time.monotonic() + seconds

    async def worker(web: aiohttp.ClientSession, seed: int) -> None:
        one = Work(web, url, seed, soaked)
        while time.monotonic() < over:
            await one.step()

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as web:
        await asyncio.gather(*(worker(web, seed) for seed in range(WORKERS)))
    return soaked


async def soak(url: str, vitals: list[Vitals], seconds: float) -> tuple[Soaked, list[str]]:
    """What became of the work, and what grew that must not; after a sixth of the time more to warm up.

    A pool of threads may still be filling up to its limit: threads have grown if the same work makes them grow again.
    """
    await work(url, seconds / 6)
    await asyncio.sleep(SETTLED_S)
    before = [await each.at_rest() for each in vitals]
    async with watched(vitals):
        soaked = await work(url, seconds)
    grown = await still_grown(vitals, before)
    for _ in range(POOL_THREADS):
        if not grown or not all(": threads " in each for each in grown):
            break
        before = [await each.at_rest() for each in vitals]
        soaked += await work(url, seconds / 2)
        grown = await still_grown(vitals, before)
    return soaked, grown


async def measure(seconds: float = 120.0) -> dict[str, float]:
    """All figures of this benchmark; prints them as a table."""
    async with running(NEXTTOKEN_CACHE_MB=CACHE_MB) as stack:
        inference = Vitals(stack.inference, f"{stack.monitor}/metrics")
        gateway = Vitals(stack.gateway, f"{stack.url}/metrics")
        soaked, grown = await soak(stack.url, [inference, gateway], seconds)
        unsettled = not_accounted_for(await inference.metrics())
    figures = {
        "soak_memory_ratio": inference.memory_ratio(),
        "soak_gateway_memory_ratio": gateway.memory_ratio(),
        "soak_requests": float(soaked.outcomes.total()),
        "soak_wrong": float(len(soaked.wrong)),
        "soak_grown": float(len(grown)),
        "soak_unaccounted": float(len(unsettled)),
    }
    print(f"{seconds:.0f} s of mixed work: {dict(soaked.outcomes)}", *soaked.wrong[:5], *grown, *unsettled, sep="\n  ")
    for name, value in figures.items():
        print(f"  {name:26} {value:10.3f}")
    return {name: round(value, 3) for name, value in figures.items()}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(60 * float(sys.argv[1])))))
