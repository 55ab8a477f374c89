"""What Layers costs: the page's question about a prompt whose keys and values are there, over a click.

It asks for the likeliest tokens of each layer, follows ten and splits the difference of the first two. Both over HTTP,
in turn on the same growing text, so that each click computes one token and each Layers only its states.
"""

import asyncio
import random
import time
from typing import Any

import aiohttp

from bench import shape
from bench.clicks import ask
from bench.stack import percentile, running

TOKENS = 200
REPEATS = 15


async def timed(session: aiohttp.ClientSession, url: str, ids: list[int], **more: Any) -> tuple[float, dict[str, Any]]:
    """Milliseconds until the answer about a text, and the answer."""
    began = time.perf_counter()
    answer = await ask(session, url, ids, **more)
    return (time.perf_counter() - began) * 1e3, answer


async def measure() -> dict[str, float]:
    """All figures of this benchmark; prints them as a table."""
    chance = random.Random(11)
    clicks, layers = list[float](), list[float]()
    async with (
        running(model=str(shape.folder()), NEXTTOKEN_LOOKAHEAD="0", NEXTTOKEN_TIMEOUT_S="600") as stack,
        aiohttp.ClientSession() as session,
    ):
        text = [chance.randrange(shape.VOCABULARY) for _ in range(TOKENS)]
        await timed(session, f"{stack.url}/api/next-token", text)
        for _ in range(REPEATS):
            text.append(chance.randrange(shape.VOCABULARY))
            click_ms, answer = await timed(session, f"{stack.url}/api/next-token", text)
            bars = [bar["token_id"] for bar in answer["candidates"]]
            asked = {"watch_token_ids": bars, "contrast": bars[:2]}
            layers_ms, _ = await timed(session, f"{stack.url}/api/layers", text, **asked)
            clicks.append(click_ms)
            layers.append(layers_ms)
    figures = {"layers_ms": percentile(layers, 0.5), "click_beside_layers_ms": percentile(clicks, 0.5)}
    figures["layers_over_click"] = figures["layers_ms"] / figures["click_beside_layers_ms"]
    print(f"layers of a text of {TOKENS} tokens, against a click on it")
    for name, value in figures.items():
        print(f"  {name:24} {value:10.2f}")
    return {name: round(value, 3) for name, value in figures.items()}


if __name__ == "__main__":
    asyncio.run(measure())
