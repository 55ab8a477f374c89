"""Seconds from `make run`, already installed, to the first answer of the page's address."""

import asyncio
import os
import signal
import time

import aiohttp

from bench.stack import OFFLINE, free_port, wait_ready

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


async def measure() -> dict[str, float]:
    """The median start; prints it."""
    starts = sorted([await first_answer() for _ in range(RUNS)])
    print(f"from `make run` to the first answer: {', '.join(f'{s:.1f}' for s in starts)} s")
    return {"start_s": round(starts[len(starts) // 2], 2)}
