"""What a click costs: one more token after a prompt of 512, asked over HTTP and gRPC, against the naive design.

Both sides hold the same random model in SmolLM2-360M's shape and answer the same clicks in one session. A click is
timed with lookahead off: right after the answer before it, after a pause, and beside a program that computes without
end. An instant click is one on a shown bar, at random among the first ten, after a second of thought, with it on. Keys
with `grpc` are of clicks that go past the gateway. `machine_waking_over_awake` tells of the machine alone: how much
longer a program's same few milliseconds of work take after such a second than without it.
"""

import asyncio
import contextlib
import json
import os
import random
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import aiohttp
import grpc
from nexttoken.v1 import next_token_pb2 as pb
from nexttoken.v1 import next_token_pb2_grpc as pb_grpc
from ports import free_port

from bench import shape
from bench.stack import PATIENCE_S, Stack, percentile, running

PROMPT = 512
CLICKS = 30
SEED_CLICKS = 4
THOUGHT_S = 1.0
PAUSE_S = 0.3
SHOWN = 10
WAKINGS = 12

Question = Callable[[list[int]], Awaitable[tuple[list[int], bool]]]
"""Asks what follows ids: the ids of the bars, and whether the answer had been computed before."""


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


@contextlib.asynccontextmanager
async def busy() -> AsyncIterator[None]:
    """Another program, which keeps a processor busy."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "while True: pass")
    try:
        yield
    finally:
        process.kill()
        await process.wait()


async def ask(
    session: aiohttp.ClientSession, url: str, ids: list[int], headers: Mapping[str, str] | None = None, **more: Any
) -> dict[str, Any]:
    """One question; its answer."""
    async with session.post(url, json={"token_ids": ids, "top_k": SHOWN, **more}, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        return dict(await answer.json())


def over_http(session: aiohttp.ClientSession, url: str) -> Question:
    """Questions to the page's address or the naive design's."""

    async def question(ids: list[int]) -> tuple[list[int], bool]:
        answer = await ask(session, url, ids)
        return [bar["token_id"] for bar in answer["candidates"]], bool(answer.get("lookahead_hit"))

    return question


def over_grpc(channel: grpc.aio.Channel) -> Question:
    """Questions to the inference server itself."""
    stub = pb_grpc.NextTokenServiceStub(channel)  # type: ignore[no-untyped-call]

    async def question(ids: list[int]) -> tuple[list[int], bool]:
        answer = await stub.TopK(pb.TopKRequest(token_ids=pb.TokenIds(ids=ids), top_k=SHOWN))
        return [bar.token.token_id for bar in answer.candidates], answer.lookahead_hit

    return question


async def click(question: Question, length: int, clicks: int, thought_s: float, seed: int) -> tuple[list[float], float]:
    """Milliseconds of each click after a fresh prompt of `length`, and the share of lookahead hits."""
    chance = random.Random(seed)
    ids = [chance.randrange(shape.VOCABULARY) for _ in range(length)]
    bars, _ = await question(ids)
    taken, hits = [], 0
    for _ in range(clicks):
        await asyncio.sleep(thought_s)
        ids.append(chance.choice(bars))
        began = time.perf_counter()
        bars, hit = await question(ids)
        taken.append((time.perf_counter() - began) * 1e3)
        hits += hit
    return taken, hits / clicks


@contextlib.asynccontextmanager
async def asking(session: aiohttp.ClientSession, lookahead: int) -> AsyncIterator[tuple[Stack, Question, Question]]:
    """Both services with the model, and questions over HTTP and over gRPC alone."""
    async with (
        running(model=str(shape.folder()), NEXTTOKEN_LOOKAHEAD=str(lookahead)) as stack,
        grpc.aio.insecure_channel(stack.target) as channel,
    ):
        yield stack, over_http(session, f"{stack.url}/api/next-token"), over_grpc(channel)


async def waking() -> float:
    """How many times as long the same work takes after a second of thought."""

    def work() -> float:
        began = time.perf_counter()
        json.loads(json.dumps({str(number): [number, number / 3] for number in range(2_000)}))
        return time.perf_counter() - began

    awake, woken = [work() for _ in range(CLICKS)], list[float]()
    for _ in range(WAKINGS):
        await asyncio.sleep(THOUGHT_S)
        woken.append(work())
    return percentile(woken, 0.5) / percentile(awake, 0.5)


async def measure() -> dict[str, float]:
    """All figures of this benchmark; prints them as a table."""
    figures: dict[str, float] = {}
    async with aiohttp.ClientSession() as session:
        async with seed_design() as url:
            taken, _ = await click(over_http(session, url), PROMPT, SEED_CLICKS, 0.0, seed=1)
            figures["seed_click_ms"] = percentile(taken, 0.5)
        async with asking(session, lookahead=0) as (_, http, straight):
            taken, _ = await click(http, PROMPT, CLICKS, 0.0, seed=2)
            figures["click_ms"] = percentile(taken, 0.5)
            taken, _ = await click(straight, PROMPT, CLICKS, 0.0, seed=6)
            figures["click_grpc_ms"] = percentile(taken, 0.5)
            paused, _ = await click(http, PROMPT, CLICKS, PAUSE_S, seed=7)
            figures["paused_over_click"] = percentile(paused, 0.5) / figures["click_ms"]
            async with busy():
                beside, _ = await click(http, PROMPT, CLICKS, 0.0, seed=8)
            figures["busy_over_click"] = percentile(beside, 0.5) / figures["click_ms"]
            short, _ = await click(http, 64, CLICKS, 0.0, seed=3)
            long, _ = await click(http, 2048, CLICKS, 0.0, seed=4)
            figures["click_flatness"] = percentile(long, 0.5) / percentile(short, 0.5)
        async with asking(session, lookahead=SHOWN) as (stack, http, straight):
            taken, share = await click(http, PROMPT, CLICKS, THOUGHT_S, seed=5)
            figures["instant_click_ms"] = percentile(taken, 0.5)
            figures["instant_click_p95_ms"] = percentile(taken, 0.95)
            figures["instant_hit_share"] = share
            taken, _ = await click(straight, PROMPT, CLICKS, THOUGHT_S, seed=6)
            figures["instant_click_grpc_ms"] = percentile(taken, 0.5)
            figures["machine_waking_over_awake"] = await waking()
            ids = list(range(PROMPT))
            url = f"{stack.url}/api/next-token"
            await ask(session, url, ids)
            inside = [
                (await ask(session, url, ids, temperature=0.5 + at / 50))["timings_ms"]["total"] for at in range(CLICKS)
            ]
            figures["temperature_ms"] = percentile(inside, 0.5)
    figures["seed_over_click"] = figures["seed_click_ms"] / figures["click_ms"]
    print(f"a click after {PROMPT} tokens, SmolLM2-360M's shape in bfloat16, two tiers against the naive design")
    for name, value in figures.items():
        print(f"  {name:26} {value:10.2f}")
    return {name: round(value, 3) for name, value in figures.items()}
