"""Generating in our engine and in llama.cpp, in turn, each in a process of its own: tokens drawn at temperature 1.

Both compute with torch's OpenMP library where they share a process, and that lets no thread spin while two teams of
threads are there. Ours is what a caller of `Generate` gets: scheduled, drawn, spelled and streamed. llama.cpp decodes
and draws through its C interface, with 16-bit weights in whichever of its formats is faster in that round.
"""

import asyncio
import multiprocessing
import random
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from statistics import median
from typing import Any, Protocol

import torch

from bench import shape
from inference_server.engine import engine
from inference_server.engine.engine import Engine
from inference_server.generate_messages import GeneratedToken, GenerateQuery
from inference_server.host import openmp
from inference_server.kvcache.logits_cache import LogitsCache
from inference_server.scheduler.scheduler import Scheduler
from inference_server.settings import Settings

PROMPT = 128
TOKENS = 48
ROUNDS = 7
CACHE_BYTES = 1 << 28


class Other(Protocol):
    """The side that is compared with."""

    def generate(self, prompt: Sequence[int], count: int, seed: int) -> list[float]:
        """When each of that many tokens was there, in seconds."""
        ...


def rate(times: Sequence[float]) -> float:
    """Tokens a second behind the first."""
    return (len(times) - 1) / (times[-1] - times[0])


async def ours(model: Engine, prompt: Sequence[int], count: int, seed: int) -> list[float]:
    """As Other.generate."""
    query = GenerateQuery(token_ids=tuple(prompt), max_tokens=count, stop_token_ids=(), seed=seed)
    return [time.perf_counter() async for event in model.generate(query, None) if isinstance(event, GeneratedToken)]


async def compared(model: Engine, others: Sequence[Other]) -> tuple[float, float]:
    """Our tokens a second, and theirs over the best of the others': medians; a round first that nobody counts."""
    chance, rates, ratios = random.Random(3), list[float](), list[float]()
    for round_number in range(ROUNDS + 1):
        prompt = chance.choices(range(shape.VOCABULARY), k=PROMPT)
        mine = rate(await ours(model, prompt, TOKENS, round_number))
        best = max(rate(other.generate(prompt, TOKENS, round_number)) for other in others)
        if round_number:
            rates.append(mine)
            ratios.append(mine / best)
    return median(rates), median(ratios)


class Apart:
    """llama.cpp with a GGUF file, in a process of its own."""

    def __init__(self, path: str) -> None:
        self._process = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _begin, (path,))

    def generate(self, prompt: Sequence[int], count: int, seed: int) -> list[float]:
        """As Other.generate."""
        return self._process.submit(_generate, prompt, count, seed).result()

    def close(self) -> None:
        self._process.shutdown()


_here: list[Other] = []  # in such a process


def _begin(path: str) -> None:
    from bench.llamacpp import LlamaCpp

    _here.append(LlamaCpp(path, [1], shape.VOCABULARY))


def _generate(prompt: Sequence[int], count: int, seed: int) -> list[float]:
    return _here[0].generate(prompt, count, seed)


def measure(paths: Sequence[str], threads: int) -> dict[str, float]:
    """All figures for these GGUF files; prints them. From any thread, also within an event loop's."""
    openmp.dismiss()  # as a server does once its models are loaded
    others = [Apart(path) for path in paths]

    async def apart() -> tuple[float, float]:
        torch.set_num_threads(threads)
        scheduler = Scheduler(queue_limit=8, batch_size=16)
        cache = LogitsCache[Any](CACHE_BYTES)
        model = engine.load("shape", shape.folder(), scheduler, cache, CACHE_BYTES, Settings(device="cpu"))
        try:
            return await compared(model, others)
        finally:
            await scheduler.close(grace_s=10)

    with ThreadPoolExecutor(1) as thread:
        rate_of_ours, ratio = thread.submit(asyncio.run, apart()).result()
    for other in others:
        other.close()
    print(
        f"generating {TOKENS} tokens after {PROMPT}, {threads} threads: tokens a second, over the best of llama.cpp's"
    )
    print(f"  {'ours':24} {rate_of_ours:10.1f} {ratio:10.2f}")
    return {"generate_over_llamacpp": ratio}
