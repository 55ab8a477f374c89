"""Many users at once, over HTTP and gRPC, on a random model in SmolLM2-360M's shape, lookahead off.

Sixteen users who click without pause, against one who does, in turn: their ratio is the median over the rounds, since a
shared machine's speed drifts. Then the same users while a prompt of 4,000 tokens arrives among them: the 95th
percentile of their clicks over one step of that prompt (what NEXTTOKEN_STEP_MS allows) and their normal 95th percentile
together. `prefill_step_ms` is the longest wait of a lone click beside such a prompt, so what a step really took.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import aiohttp

from bench import shape
from bench.clicks import SHOWN, ask
from bench.stack import percentile, running
from inference_server.settings import Settings

USERS = 16
PROMPT = 512
CLICKS_EACH = 12
ROUNDS = 7
LONG = 4_000
MOST_S = 60.0  # of clicks beside the long prompt


class User:
    """One visitor, who clicks on one of the ten bars as soon as they are there."""

    def __init__(self, session: aiohttp.ClientSession, url: str, number: int, length: int = PROMPT) -> None:
        self._session, self._url, self._chance = session, url, random.Random(number)
        self._headers = {"x-session": f"user-{number}"}
        self.ids = [self._chance.randrange(shape.VOCABULARY) for _ in range(length)]
        self.answer: dict[str, Any] = {}
        self.taken: list[float] = []

    async def look(self) -> None:
        """The answer about the prompt as it is."""
        self.answer = await ask(self._session, self._url, self.ids, self._headers)

    async def click(self) -> None:
        """One more token, timed in milliseconds."""
        self.ids.append(self._chance.choice(self.answer["candidates"][:SHOWN])["token_id"])
        began = time.perf_counter()
        await self.look()
        self.taken.append((time.perf_counter() - began) * 1e3)

    async def click_while(self, go_on: Callable[[], bool]) -> None:
        """Clicks without pause."""
        while go_on():
            await self.click()


async def clicking(users: list[User], clicks: int) -> tuple[list[float], float]:
    """Milliseconds of every click when each user makes so many without pause, and tokens a second of all."""
    for user in users:
        user.taken.clear()
    began = time.perf_counter()
    await asyncio.gather(*(user.click_while(lambda user=user: len(user.taken) < clicks) for user in users))  # type: ignore[misc]
    spent = time.perf_counter() - began
    taken = [each for user in users for each in user.taken]
    return taken, len(taken) / spent


async def beside_prefill(session: aiohttp.ClientSession, url: str, users: list[User], number: int) -> list[Any]:
    """Clicks of users while a long prompt is computed."""
    reader = User(session, url, number, LONG)
    for user in users:
        await user.look()
    long = asyncio.create_task(reader.look())
    await asyncio.sleep(0.5)
    for user in users:
        user.taken.clear()
    until = time.perf_counter() + MOST_S
    waits: list[float] = []

    async def clicks(user: User) -> None:
        while not long.done() and time.perf_counter() < until:
            await user.click()
            waits.append(user.answer["timings_ms"]["queue"])

    await asyncio.gather(*(clicks(user) for user in users))
    long.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await long
    return [[each for user in users for each in user.taken], waits]


async def measure() -> dict[str, float]:
    """All figures of this benchmark; prints them as a table."""
    figures: dict[str, float] = {}
    step_ms = Settings().step_ms
    async with (
        running(model=str(shape.folder()), NEXTTOKEN_LOOKAHEAD="0", NEXTTOKEN_TIMEOUT_S="600") as stack,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
    ):
        url = f"{stack.url}/api/next-token"
        users = [User(session, url, number) for number in range(USERS)]
        _, waits = await beside_prefill(session, url, users[:1], USERS)
        figures["prefill_step_ms"] = max(waits)
        for user in users:
            await user.look()
        await clicking(users, 1)
        taken, ratios = list[float](), list[float]()
        for _ in range(ROUNDS):
            _, alone = await clicking(users[:1], CLICKS_EACH)
            some, together = await clicking(users, CLICKS_EACH)
            taken += some
            ratios.append(together / alone)
        figures["users16_p50_ms"] = percentile(taken, 0.5)
        figures["users16_p99_over_p50"] = percentile(taken, 0.99) / percentile(taken, 0.5)
        figures["users16_throughput"] = median(ratios)
        normal = percentile(taken, 0.95)
        beside, _ = await beside_prefill(session, url, users, USERS + 1)
        figures["prefill_clicks_p95_ms"] = percentile(beside, 0.95)
        figures["prefill_among_clicks"] = percentile(beside, 0.95) / (step_ms + normal)
    print(f"{USERS} users after {PROMPT} tokens each, and a prompt of {LONG} among them; steps of {step_ms:.0f} ms")
    for name, value in figures.items():
        print(f"  {name:24} {value:10.2f}")
    return {name: round(value, 3) for name, value in figures.items()}
