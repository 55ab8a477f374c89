"""What the two tiers cost: HTTP → gRPC → a ready answer and back, over the same call to the engine in process.

Both sides answer the same question from kept logits, in turns, so that what differs is the way there and back. Then
as many requests a second as the services answer when each has one core and 16 callers never pause.
"""

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable

import aiohttp

from bench.stack import percentile, resident_mb, running
from inference_server.engine import engine
from inference_server.kvcache.logits_cache import LogitsCache
from inference_server.messages import TopKQuery
from inference_server.models.bundled import FOLDER
from inference_server.scheduler.scheduler import Scheduler
from inference_server.settings import Settings

ROUNDS = 1_000
CALLERS = 16
LOAD_S = 8.0
BODY = json.dumps({"text": "Once upon a time", "top_k": 10}).encode()
HEADERS = {"content-type": "application/json"}


async def timed(call: Callable[[], Awaitable[object]]) -> float:
    """Milliseconds one call takes."""
    began = time.perf_counter()
    await call()
    return (time.perf_counter() - began) * 1e3


async def sequential(url: str) -> dict[str, float]:
    """p50 and p99 of both sides, call by call in turns."""
    settings = Settings(model="bundled")
    scheduler = Scheduler(settings.queue_limit, settings.batch_size)
    loaded = engine.load("bundled", FOLDER, scheduler, LogitsCache(256 << 20), 256 << 20, settings)
    query = TopKQuery(text="Once upon a time")
    async with aiohttp.ClientSession() as session:

        async def over_http() -> None:
            async with session.post(f"{url}/api/next-token", data=BODY, headers=HEADERS) as answer:
                assert answer.status == 200, await answer.text()
                await answer.read()

        async def in_process() -> None:
            await loaded.top_k(query, None)

        http, process = [], []
        for round_number in range(ROUNDS + 50):
            one, other = await timed(over_http), await timed(in_process)
            if round_number >= 50:
                http.append(one)
                process.append(other)
    await scheduler.close(1.0)
    return {
        "engine_p50_ms": percentile(process, 0.5),
        "engine_p99_ms": percentile(process, 0.99),
        "http_p50_ms": percentile(http, 0.5),
        "http_p99_ms": percentile(http, 0.99),
        "overhead_p50_ms": percentile(http, 0.5) - percentile(process, 0.5),
        "overhead_p99_ms": percentile(http, 0.99) - percentile(process, 0.99),
    }


async def throughput(url: str) -> float:
    """Answers a second to CALLERS callers that never pause, over LOAD_S seconds."""
    deadline = time.perf_counter() + LOAD_S

    async def caller(session: aiohttp.ClientSession) -> int:
        answered = 0
        while time.perf_counter() < deadline:
            async with session.post(f"{url}/api/next-token", data=BODY, headers=HEADERS) as answer:
                assert answer.status == 200, await answer.text()
                await answer.read()
            answered += 1
        return answered

    async with aiohttp.ClientSession() as session:
        began = time.perf_counter()
        counts = await asyncio.gather(*(caller(session) for _ in range(CALLERS)))
    return sum(counts) / (time.perf_counter() - began)


async def measure() -> dict[str, float]:
    """All figures of this benchmark; prints them as a table."""
    figures: dict[str, float] = {}
    async with running() as stack:
        figures["inference_rest_mb"] = resident_mb(stack.inference)
        figures["gateway_rest_mb"] = resident_mb(stack.gateway)
        figures |= await sequential(stack.url)
    cores = sorted(os.sched_getaffinity(0))
    async with running((cores[0], cores[-1])) as stack:
        figures["gateway_rps"] = await throughput(stack.url)
    print("two tiers over the engine in process, bundled model, ready answer")
    for name, value in figures.items():
        print(f"  {name:24} {value:10.2f}")
    return {name: round(value, 3) for name, value in figures.items()}
