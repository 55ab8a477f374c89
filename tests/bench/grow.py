"""Growing a tree over HTTP, against a client that asks one question per node and grows the same tree by itself.

The model is random, in SmolLM2-360M's shape, so its likeliest paths are short and wide: what comes after each node has
to be computed on both sides. Fresh prompts in turn, so nothing is ever found cached but what a side computed itself.
"""

import asyncio
import heapq
import json
import random
import time
from typing import Any

import aiohttp

from bench import shape
from bench.stack import Stack, percentile
from bench.used import used

PROMPT = 128
NODES = 64
DEPTH = 8
REPEATS = 7

Paths = list[tuple[int, ...]]


async def grown(session: aiohttp.ClientSession, url: str, ids: list[int]) -> Paths:
    """The paths of one call's tree."""
    paths: dict[int, tuple[int, ...]] = {0: ()}
    body = {"token_ids": ids, "depth": DEPTH, "max_nodes": NODES}
    async with session.post(f"{url}/api/grow", json=body) as answer:
        assert answer.status == 200, await answer.text()
        async for line in answer.content:
            if line.startswith(b"data: ") and "parent" in (node := json.loads(line[6:])):
                paths[node["id"]] = (*paths[node["parent"]], node["token"]["token_id"])
    return [path for path in paths.values() if path]


async def asked(session: aiohttp.ClientSession, url: str, ids: list[int]) -> Paths:
    """The same tree by one question per node: a client that takes the likeliest path it knows, time and again."""
    found: Paths = []
    known: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
    while len(found) < NODES:
        surprise, path = heapq.heappop(known)
        if path:
            found.append(path)
        if len(path) < DEPTH:
            async with session.post(
                f"{url}/api/next-token", json={"token_ids": [*ids, *path], "top_k": NODES}
            ) as answer:
                assert answer.status == 200, await answer.text()
                candidates: list[Any] = (await answer.json())["candidates"]
            for candidate in candidates:
                if candidate["logprob"] is not None:
                    heapq.heappush(known, (surprise - candidate["logprob"], (*path, candidate["token_id"])))
    return found


async def compared(stack: Stack) -> dict[str, float]:
    """Nodes per second of both, in turn."""
    chance, rates = random.Random(8), dict[str, list[float]]()
    async with aiohttp.ClientSession() as session:
        for round_number in range(REPEATS + 1):
            trees = []
            for name, grow in (("grow", grown), ("asked", asked)):
                ids = [chance.randrange(shape.VOCABULARY) for _ in range(PROMPT)]
                async with session.post(f"{stack.url}/api/next-token", json={"token_ids": ids}) as answer:
                    assert answer.status == 200  # both begin from a cached prompt
                began = time.perf_counter()
                trees.append(await grow(session, stack.url, ids))
                if round_number:
                    rates.setdefault(name, []).append(NODES / (time.perf_counter() - began))
            assert [len(tree) for tree in trees] == [NODES, NODES]
    return {f"{name}_nodes_per_s": percentile(values, 0.5) for name, values in rates.items()}


async def measure() -> dict[str, float]:
    """All figures of this benchmark; prints them as a table."""
    async with used() as stack:
        figures = await compared(stack)
    figures["grow_over_asked"] = figures["grow_nodes_per_s"] / figures["asked_nodes_per_s"]
    print(f"a tree of {NODES} nodes after {PROMPT} tokens, grown in one call and by one question per node")
    for name, value in figures.items():
        print(f"  {name:24} {value:10.2f}")
    return {name: round(value, 3) for name, value in figures.items()}


if __name__ == "__main__":
    asyncio.run(measure())
