"""What a click costs: one more token after a prompt of 512, asked over HTTP and gRPC, against the naive design.

Both sides hold the same random model in SmolLM2-360M's shape and answer the same clicks in one session. A click is
timed with lookahead off; an instant click is one on a shown bar, at random among the first ten, after a second of
thought, with it on.
"""

import asyncio
import contextlib
import os
import random
import sys
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp

from bench import shape
from bench.stack import PATIENCE_S, free_port, percentile, running

PROMPT = 512
CLICKS = 30
SEED_CLICKS = 4
THOUGHT_S = 1.0
SHOWN = 10


@contextlib.asynccontextmanager
async def seed_design() -> AsyncIterator[str]:
    """The naive design in a process of its own; its address once it answers."""
    port = free_port()
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.seed", str(shape.folder()), str(port), env=environment
    )
    url = f"http://127.0.0.1:{port}/"
    try:
        async with aiohttp.ClientSession() as session, asyncio.timeout(PATIENCE_S):
            while True:
                with contextlib.suppress(aiohttp.ClientError):
                    await ask(session, url, [1, 2])
                    break
                await asyncio.sleep(0.2)
        yield url
    finally:
        process.terminate()
        await process.wait()


async def ask(
    session: aiohttp.ClientSession, url: str, ids: list[int], headers: Mapping[str, str] | None = None, **more: Any
) -> dict[str, Any]:
    """One question; its answer."""
    async with session.post(url, json={"token_ids": ids, "top_k": SHOWN, **more}, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        return dict(await answer.json())


async def click(
    session: aiohttp.ClientSession, url: str, length: int, clicks: int, thought_s: float, seed: int, **more: Any
) -> tuple[list[float], float]:
    """Milliseconds of each click after a fresh prompt of `length`, and the share of lookahead hits."""
    chance = random.Random(seed)
    ids = [chance.randrange(shape.VOCABULARY) for _ in range(length)]
    answer = await ask(session, url, ids, **more)
    taken, hits = [], 0
    for _ in range(clicks):
        await asyncio.sleep(thought_s)
        ids.append(chance.choice(answer["candidates"])["token_id"])
        began = time.perf_counter()
        answer = await ask(session, url, ids, **more)
        taken.append((time.perf_counter() - began) * 1e3)
        hits += bool(answer.get("lookahead_hit"))
    return taken, hits / clicks


async def measure() -> dict[str, float]:
    """All figures of this benchmark; prints them as a table."""
    model = str(shape.folder())
    figures: dict[str, float] = {}
    async with aiohttp.ClientSession() as session:
        async with seed_design() as url:
            taken, _ = await click(session, url, PROMPT, SEED_CLICKS, 0.0, seed=1)
            figures["seed_click_ms"] = percentile(taken, 0.5)
        async with running(model=model, NEXTTOKEN_LOOKAHEAD="0") as stack:
            url = f"{stack.url}/api/next-token"
            taken, _ = await click(session, url, PROMPT, CLICKS, 0.0, seed=2)
            figures["click_ms"] = percentile(taken, 0.5)
            short, _ = await click(session, url, 64, CLICKS, 0.0, seed=3)
            long, _ = await click(session, url, 2048, CLICKS, 0.0, seed=4)
            figures["click_flatness"] = percentile(long, 0.5) / percentile(short, 0.5)
        async with running(model=model) as stack:
            url = f"{stack.url}/api/next-token"
            taken, share = await click(session, url, PROMPT, CLICKS, THOUGHT_S, seed=5)
            figures["instant_click_ms"] = percentile(taken, 0.5)
            figures["instant_click_p95_ms"] = percentile(taken, 0.95)
            figures["instant_hit_share"] = share
            ids = list(range(PROMPT))
            await ask(session, url, ids)
            inside = [
                (await ask(session, url, ids, temperature=0.5 + at / 50))["timings_ms"]["total"] for at in range(CLICKS)
            ]
            figures["temperature_ms"] = percentile(inside, 0.5)
    figures["seed_over_click"] = figures["seed_click_ms"] / figures["click_ms"]
    print(f"a click after {PROMPT} tokens, SmolLM2-360M's shape in bfloat16, two tiers against the naive design")
    for name, value in figures.items():
        print(f"  {name:24} {value:10.2f}")
    return {name: round(value, 3) for name, value in figures.items()}
