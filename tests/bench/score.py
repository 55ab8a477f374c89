"""Scoring a text of 1,024 tokens with ten alternatives each, over one plain forward pass of them, both over HTTP.

The plain side is the naive design's answer to the same prompt: transformers in float32, every position's logits, of
which it describes the last. Fresh texts in turn, so nothing is ever found kept.
"""

import random
import time

import aiohttp

from bench import shape
from bench.clicks import SHOWN, ask, seed_design
from bench.stack import percentile, running

TOKENS = 1_024
REPEATS = 3


async def timed(session: aiohttp.ClientSession, url: str, ids: list[int]) -> float:
    """Milliseconds until the answer about a text."""
    began = time.perf_counter()
    await ask(session, url, ids)
    return (time.perf_counter() - began) * 1e3


async def measure() -> dict[str, float]:
    """All figures of this benchmark; prints them as a table."""
    chance = random.Random(7)
    scores, plain = list[float](), list[float]()
    async with (
        running(model=str(shape.folder()), NEXTTOKEN_LOOKAHEAD="0", NEXTTOKEN_TIMEOUT_S="600") as stack,
        seed_design() as naive,
        aiohttp.ClientSession() as session,
    ):
        for round_number in range(REPEATS + 1):
            text, other = ([chance.randrange(shape.VOCABULARY) for _ in range(TOKENS)] for _ in range(2))
            score, pass_ms = await timed(session, f"{stack.url}/api/score", text), await timed(session, naive, other)
            if round_number:
                scores.append(score)
                plain.append(pass_ms)
    figures = {"score_ms": percentile(scores, 0.5), "plain_pass_ms": percentile(plain, 0.5)}
    figures["score_over_prefill"] = figures["score_ms"] / figures["plain_pass_ms"]
    print(f"a score of {TOKENS} tokens with {SHOWN} alternatives each, against one plain pass")
    for name, value in figures.items():
        print(f"  {name:24} {value:10.2f}")
    return {name: round(value, 3) for name, value in figures.items()}
