"""Ten times as many callers as a server takes: how soon the refused are told, and what it costs the others.

Every question is a new one, so that each costs a pass, and the caches are small enough to be full before it begins.
"""

import asyncio
import itertools
import time
from collections import Counter
from dataclasses import dataclass

import aiohttp
from readers import Answer, ask

from bench.stack import percentile, resident_mb, running

QUEUE_LIMIT = 4
CALLERS = 10 * QUEUE_LIMIT
SECONDS = 30.0
CACHE_MB = "16"
TEXT = "Once upon a time there was a little girl who liked to play in the park with her dog. " * 8
PHASES = itertools.count()


@dataclass(frozen=True)
class Met:
    """What the callers met."""

    answers: list[Answer]

    def ended(self, status: int) -> list[float]:
        """Milliseconds of what ended with a status."""
        return [answer.seconds * 1e3 for answer in self.answers if answer.status == status]

    def counts(self) -> Counter[int]:
        """How often each status came."""
        return Counter(answer.status for answer in self.answers)

    def told_when(self) -> bool:
        """Whether each refusal said when to try again."""
        return all(answer.retry_after.isdecimal() for answer in self.answers if answer.status == 429)


async def press(url: str, callers: int, seconds: float) -> Met:
    """Callers who ask for what must be computed and never pause; refused ones try again after a tenth of a second."""
    answers: list[Answer] = []
    phase = next(PHASES)
    over = time.monotonic() + seconds

    async def call(web: aiohttp.ClientSession, name: str) -> None:
        number = 0
        while time.monotonic() < over:
            number += 1
            request = f"{name}-{number}"
            answers.append(await ask(web, url, name, request, f"{phase}.{number} {TEXT}"))
            if answers[-1].status == 429:
                await asyncio.sleep(0.1)

    async with aiohttp.ClientSession() as web:
        await asyncio.gather(*(call(web, f"caller-{phase}-{number}") for number in range(callers)))
    return Met(answers)


async def measure(seconds: float = SECONDS) -> dict[str, float]:
    """All figures of this benchmark; prints them as a table."""
    async with running(
        NEXTTOKEN_QUEUE_LIMIT=str(QUEUE_LIMIT),
        NEXTTOKEN_CLIENT_SHARE="1",  # all callers come from one address
        NEXTTOKEN_CACHE_MB=CACHE_MB,
        NEXTTOKEN_LOOKAHEAD="0",
        NEXTTOKEN_LOG_LEVEL="info",
    ) as stack:
        await press(stack.url, QUEUE_LIMIT, seconds / 10)
        usual = await press(stack.url, QUEUE_LIMIT, seconds / 3)
        before = resident_mb(stack.inference)
        met = await press(stack.url, CALLERS, seconds)
        grown = resident_mb(stack.inference) / before
        after = await press(stack.url, QUEUE_LIMIT, seconds / 3)
    assert met.told_when()
    figures = {
        "overload_refused_share": met.counts()[429] / len(met.answers),
        "overload_refusal_p50_ms": percentile(met.ended(429), 0.5),
        "overload_refusal_p99_ms": percentile(met.ended(429), 0.99),
        "overload_accepted_ratio": percentile(met.ended(200), 0.5) / percentile(usual.ended(200), 0.5),
        "overload_accepted_p95_ratio": percentile(met.ended(200), 0.95) / percentile(usual.ended(200), 0.95),
        "overload_after_ratio": percentile(after.ended(200), 0.5) / percentile(usual.ended(200), 0.5),
        "overload_memory_ratio": grown,
    }
    print(f"{CALLERS} callers of a server that takes {QUEUE_LIMIT} requests at a time, {met.counts()}")
    for name, value in figures.items():
        print(f"  {name:28} {value:10.2f}")
    return {name: round(value, 3) for name, value in figures.items()}
