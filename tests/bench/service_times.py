"""Service times for capacity plans: `python -m bench.service_times [MODEL FOLDER]` prints a profile as JSON.

Steps are timed in this process, by the worker's own `step`; the way to them and back with both services, over HTTP and
gRPC, on answers that are cached. Each follows a short pause, as most do that visitors cause: machines are slower then.
Set OMP_NUM_THREADS to measure with fewer threads than cores.
"""

import asyncio
import os
import platform
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp
import msgspec
import psutil
import torch
from capacity.profile import Profile

from bench import shape
from bench.clicks import SHOWN, ask
from bench.stack import Stack, running
from inference_server.cpu.weight_only_linear import WeightOnlyLinear
from inference_server.engine import engine as engines
from inference_server.engine.engine import Engine
from inference_server.engine.score import Score
from inference_server.engine.top_k import TopK
from inference_server.kvcache.logits_cache import LogitsCache
from inference_server.messages import TopKQuery
from inference_server.sampling.distribution import Distribution
from inference_server.scheduler.worker import step
from inference_server.sequence import Sequence
from inference_server.settings import Settings
from service_kit import logs

PROMPT = 48
TOGETHER = (1, 2, 4, 8, 16)  # prompts in a step
CHUNKS = (4, 16, 64, 256)  # tokens in a step
REPEATS = 7
ASKED = 120  # cached answers over HTTP
SCORED = 30  # texts over HTTP
PAUSE_S = 0.03
CACHE_BYTES = 1 << 30
VCPU_HOUR, GATEWAY_HOUR = 0.04, 0.04  # US dollars: about what clouds ask for a core on demand

now = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter
"""A single thread's own time: what else the machine does is no part of it."""
Timed = Callable[[], float]


class Idle:
    """Stands in for the scheduler of an engine whose executor is driven here."""

    def when_idle(self, work: Callable[[], bool]) -> None:
        """Nothing is ever idle here."""


class Steps:
    """One model's steps, each timed alone."""

    def __init__(self, folder: Path) -> None:
        scheduler: Any = Idle()
        cache: LogitsCache[Any] = LogitsCache(CACHE_BYTES)
        self.engine: Engine = engines.load("measured", folder, scheduler, cache, CACHE_BYTES, Settings())
        self._chance = random.Random(1)
        self._most = self.engine.facts.vocab_size - 1
        self.click(1)()  # the first ones compile and allocate

    @property
    def chunks(self) -> list[int]:
        """Tokens in a step, those among them between which a CPU changes its way to compute."""
        layers = self.engine.executor.model.network.modules()
        ends = {layer.most_rows for layer in layers if isinstance(layer, WeightOnlyLinear)}
        return sorted({*CHUNKS, *(at for end in ends if end < max(CHUNKS) for at in (end, end + 1))})

    def ids(self, count: int) -> tuple[int, ...]:
        """A prompt nobody has asked about."""
        return tuple(self._chance.randrange(self._most) for _ in range(count))

    def click(self, prompts: int) -> Timed:
        """One more token after each of so many prompts."""
        known = [self.ids(PROMPT) for _ in range(prompts)]
        for ids in known:
            self._whole(ids)

        def timed() -> float:
            known[:] = [(*ids, *self.ids(1)) for ids in known]
            return self._timed([self._asked(ids) for ids in known])

        return timed

    def cached(self) -> Timed:
        """The same prompt again."""
        ids = self.ids(PROMPT)
        self._whole(ids)
        return lambda: self._timed([self._asked(ids)])

    def prefill(self, tokens: int) -> Timed:
        """A new prompt of so many tokens, in one chunk."""
        return lambda: self._chunk(self._asked(self.ids(tokens)), tokens)

    def score(self, tokens: int) -> Timed:
        """As many tokens of a text, each described."""

        def timed() -> float:
            score = Score(self.ids(tokens + 1), self.engine._tokenizer, SHOWN)
            *_, (part, describe, every_row) = score.parts()
            return self._chunk(Sequence(part, self.engine.executor, describe, every_row=every_row), len(part))

        return timed

    def prefetch(self) -> Timed:
        """The likely next tokens after a prompt."""

        def timed() -> float:
            self._whole(self.ids(PROMPT))
            began = now()
            assert self.engine.executor.prefetch(
                lambda logits: [b.token_id for b in Distribution(logits, 1.0).top(SHOWN)]
            )
            return now() - began

        return timed

    def _asked(self, ids: tuple[int, ...]) -> Sequence[Any]:
        describe = TopK(TopKQuery(token_ids=ids, top_k=SHOWN), self.engine.facts, self.engine._tokenizer).describe
        return Sequence(ids, self.engine.executor, describe)

    def _whole(self, ids: tuple[int, ...]) -> None:
        sequence = self._asked(ids)
        while not sequence.done:
            step([sequence])

    def _chunk(self, sequence: Sequence[Any], tokens: int) -> float:
        """All of a sequence in one step."""
        executor = self.engine.executor
        began = now()
        executor.match([sequence])
        executor.execute([(sequence, tokens)])
        executor.release()
        assert sequence.done
        return now() - began

    def _timed(self, sequences: list[Sequence[Any]]) -> float:
        began = now()
        step(sequences)
        assert all(sequence.done for sequence in sequences)
        return now() - began


def after_pause(timed: Timed) -> float:
    """The time of one step."""
    time.sleep(PAUSE_S)
    return timed()


def middle_ms(timed: Timed, repeats: int = REPEATS) -> float:
    """The median of several, in milliseconds."""
    timed()
    return round(median(after_pause(timed) for _ in range(repeats)) * 1e3, 3)


def spread(timed: Timed) -> tuple[float, ...]:
    """Eleven quantiles of a step's time over its median."""
    taken = sorted(after_pause(timed) for _ in range(101))
    return tuple(round(taken[at] / taken[50], 3) for at in range(0, 101, 10))


async def around(folder: Path) -> tuple[dict[str, float], dict[str, float]]:
    """Per request, in milliseconds: processor time of both services and of this process, and what an answer takes.

    And what a scored token adds to the processor time of these, on their event loops.
    """
    async with running(model=str(folder)) as stack, aiohttp.ClientSession() as session:
        url, ids = f"{stack.url}/api/next-token", list(range(3, 3 + PROMPT))
        for _ in range(ASKED):
            await ask(session, url, ids)
        await asyncio.sleep(0.5)  # what is prefetched
        taken = []
        before, loop_before = spent(stack), loop_s(stack.inference)
        for _ in range(ASKED):
            began = time.perf_counter()
            await ask(session, url, ids)
            taken.append((time.perf_counter() - began) * 1e3)
            await asyncio.sleep(PAUSE_S)
        each = {name: (now - before[name]) * 1e3 / ASKED for name, now in spent(stack).items()}
        click = each | {"inference": (loop_s(stack.inference) - loop_before) * 1e3 / ASKED}
        before, loop_before = spent(stack), loop_s(stack.inference)
        for _ in range(SCORED):
            await ask(session, f"{stack.url}/api/score", ids)
        score = {name: (now - before[name]) * 1e3 / SCORED for name, now in spent(stack).items()}
        score["inference"] = (loop_s(stack.inference) - loop_before) * 1e3 / SCORED
    more = {name: max(0.0, score[name] - click[name]) / PROMPT for name in score}
    return each | {"whole": median(taken)}, more


def spent(stack: Stack) -> dict[str, float]:
    """Seconds of processor time so far."""
    found = {name: sum(getattr(stack, name).cpu_times()[:2]) for name in ("gateway", "inference")}
    return {**found, "client": time.process_time()}


def loop_s(process: psutil.Process) -> float:
    """The same of a process's first thread, which runs its event loop."""
    return next(each.user_time + each.system_time for each in process.threads() if each.id == process.pid)


def measure(folder: Path) -> Profile:
    """The profile of this machine."""
    steps = Steps(folder)
    cached = middle_ms(steps.cached(), 50)
    runner: Any = steps.engine.executor.model.runner
    figures: dict[str, Any] = {
        "click_ms": tuple((count, middle_ms(steps.click(count))) for count in TOGETHER),
        "prefill_ms": tuple((count, middle_ms(steps.prefill(count))) for count in steps.chunks),
        "score_ms": tuple((count, middle_ms(steps.score(count))) for count in steps.chunks),
        "prefetch_ms": middle_ms(steps.prefetch()),
        "spread": spread(steps.click(1)),
        "token_bytes": runner.store.block_bytes // runner.store.block_size,
        "logits_bytes": 4 * steps.engine.facts.vocab_size,
    }
    threads, cores = torch.get_num_threads(), os.cpu_count() or 1
    del steps, runner
    each, scored = asyncio.run(around(folder))
    server = max(0.0, each["inference"] - cached)
    wire = max(0.0, each["whole"] - each["gateway"] - each["inference"] - each["client"])
    return Profile(
        name=f"cpu-{cores}-cores",
        source=f"bench.service_times on {cores} cores ({platform.machine()}), {threads} threads, {folder.name}",
        measured=True,
        cores=cores,
        threads=threads,
        cached_ms=cached,
        server_ms=round(server, 3),
        gateway_ms=round(each["gateway"], 3),
        wire_ms=round(wire, 3),
        asking_ms=round(each["client"], 3),
        scored_server_ms=round(scored["inference"], 3),
        scored_gateway_ms=round(scored["gateway"], 3),
        scored_asking_ms=round(scored["client"], 3),
        replica_price=cores * VCPU_HOUR,
        gateway_price=GATEWAY_HOUR,
        **figures,
    )


if __name__ == "__main__":
    logs.configure("bench", "text", "warning")
    found = measure(Path(sys.argv[1]) if len(sys.argv) > 1 else shape.folder())
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n")
