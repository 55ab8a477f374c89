"""Seconds from `make run`, already installed, to the page's first answer, and to that of a default model."""

import asyncio
import os
import signal
import time
from pathlib import Path

import aiohttp
import published
from ports import free_port

from bench.stack import OFFLINE, running, wait_ready

RUNS = 3


async def first_answer() -> float:
    """Seconds until the bundled model answers, with the default model's download failing beside it."""
    port = free_port()
    environment = os.environ | OFFLINE
    environment |= {"NEXTTOKEN_PORT": str(port), "NEXTTOKEN_GRPC_PORT": str(free_port())}
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        "make",
        "run",
        env=environment,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        async with aiohttp.ClientSession() as session:
            await wait_ready(session, f"http://127.0.0.1:{port}")
        return time.perf_counter() - began
    finally:
        os.killpg(process.pid, signal.SIGINT)
        await process.wait()


async def default_ready(folder: Path) -> float:
    """Seconds from the start of both services to the first answer of a model in a local folder."""
    began = time.perf_counter()
    async with running(model=str(folder)):
        return time.perf_counter() - began


async def measure() -> dict[str, float]:
    """The median starts; prints them. SmolLM2-135M's is missing where its files are."""
    starts = sorted([await first_answer() for _ in range(RUNS)])
    print(f"from `make run` to the first answer: {', '.join(f'{s:.1f}' for s in starts)} s")
    figures = {"start_s": round(starts[len(starts) // 2], 2)}
    if (folder := published.find(published.MODEL)) is not None:
        await default_ready(folder)  # compiles kernels, and has the files in memory
        ready = sorted([await default_ready(folder) for _ in range(RUNS)])
        print(f"from the start to {published.MODEL}'s first answer: {', '.join(f'{s:.1f}' for s in ready)} s")
        figures["default_ready_s"] = round(ready[len(ready) // 2], 2)
    return figures


if __name__ == "__main__":
    asyncio.run(measure())
