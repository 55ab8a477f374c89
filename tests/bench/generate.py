"""Generating over HTTP: tokens a second of one continuation and of sixteen, and how evenly they come beside users.

On a random model in SmolLM2-360M's shape, with fresh prompts. The users beside it click on one of the ten bars after a
moment of thought, and the server computes ahead for them as it does by default; the time between two tokens is what a
reader of the stream sees.
"""

import asyncio
import random
import time
from itertools import pairwise

import aiohttp

from bench import shape
from bench.crowd import User
from bench.stack import percentile
from bench.used import used

PROMPT = 128
TOKENS = 48
MANY = 16
USERS = 10
THOUGHT_S = 0.5
ROUNDS = 3


async def arrivals(session: aiohttp.ClientSession, url: str, ids: list[int], n: int = 1) -> list[float]:
    """When each token of n continuations arrived, in seconds."""
    body = {"token_ids": ids, "max_tokens": TOKENS, "n": n, "seed": 7, "stop_token_ids": []}
    found, name = list[float](), ""
    async with session.post(f"{url}/api/generate", json=body) as answer:
        assert answer.status == 200, await answer.text()
        async for line in answer.content:
            name = line[7:].decode().strip() if line.startswith(b"event: ") else name
            if line.startswith(b"data: ") and name == "token":
                found.append(time.perf_counter())
    assert len(found) == n * TOKENS, len(found)
    return found


async def rates(session: aiohttp.ClientSession, url: str, chance: random.Random) -> dict[str, float]:
    """Tokens a second of one and of many, in turn; a round first that nobody counts."""
    taken: dict[int, list[float]] = {1: [], MANY: []}
    for round_number in range(ROUNDS + 1):
        for n, each in taken.items():
            ids = [chance.randrange(shape.VOCABULARY) for _ in range(PROMPT)]
            times = await arrivals(session, url, ids, n)
            if round_number:
                each.append((len(times) - n) / (times[-1] - times[n - 1]))
    one, many = (percentile(each, 0.5) for each in taken.values())
    return {"generate_tokens_per_s": one, "generate_many_over_one": many / one}


async def beside(session: aiohttp.ClientSession, url: str, chance: random.Random) -> float:
    """The 99th percentile of the time between tokens over the 50th, while users click."""
    users = [User(session, f"{url}/api/next-token", number, PROMPT) for number in range(USERS)]
    for user in users:
        await user.look()

    async def use(user: User) -> None:
        while True:
            await asyncio.sleep(chance.uniform(0.5, 1.5) * THOUGHT_S)
            await user.click()

    work = [asyncio.create_task(use(user)) for user in users]
    try:
        gaps = list[float]()
        for _ in range(ROUNDS):
            ids = [chance.randrange(shape.VOCABULARY) for _ in range(PROMPT)]
            gaps += [after - before for before, after in pairwise(await arrivals(session, url, ids))]
    finally:
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
    return percentile(gaps, 0.99) / percentile(gaps, 0.5)


async def measure() -> dict[str, float]:
    """All figures of this benchmark; prints them as a table."""
    chance = random.Random(21)
    async with (
        used() as stack,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session,
    ):
        figures = await rates(session, stack.url, chance)
        figures["generate_p99_over_p50"] = await beside(session, stack.url, chance)
    print(f"generating {TOKENS} tokens after {PROMPT}, one continuation and {MANY}, and beside {USERS} users")
    for name, value in figures.items():
        print(f"  {name:24} {value:10.2f}")
    return {name: round(value, 3) for name, value in figures.items()}


if __name__ == "__main__":
    asyncio.run(measure())
