"""Small models of every architecture with every tokenizer, each built once and loaded as the server loads it."""

import asyncio
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor

from inference_server import engine
from inference_server.engine import Engine
from inference_server.jobs import Lane
from inference_server.prefix_cache import PrefixCache
from inference_server.scheduler import Scheduler
from inference_server.settings import Settings
from inference_server.vocabulary import Vocabulary
from models import architectures, tokenizers


@dataclass(frozen=True)
class Cell:
    """One architecture with one tokenizer: our engine, which keeps no results, and plain transformers beside it."""

    architecture: str
    kind: str
    engine: Engine
    vocabulary: Vocabulary
    network: Any
    scheduler: Scheduler

    def plain(self, token_ids: Sequence[int]) -> Tensor:
        """The (T, V) float32 logits of transformers for one prompt by itself."""
        with torch.inference_mode():
            logits: Tensor = self.network(input_ids=torch.tensor([token_ids])).logits[0].float()
        return logits

    async def together(self, ask: Callable[[], Sequence[Any]]) -> list[Any]:
        """The answers of coroutines whose requests all wait when the worker becomes free."""
        free = threading.Event()
        gate: Lane[None, bool] = Lane("gate", lambda queries: [free.wait(30) for _ in queries], batched=False)
        with self.scheduler.admit() as slot:
            held = asyncio.create_task(self.scheduler.run(slot, gate, None, 1, None))
            asked = [asyncio.create_task(coroutine) for coroutine in ask()]
            await asyncio.sleep(0)  # each runs up to its place in the queue
            free.set()
            await held
            return await asyncio.gather(*asked)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()


@pytest.fixture(scope="session")
def scheduler() -> Iterator[Scheduler]:
    scheduler = Scheduler(queue_limit=64, batch_size=16, batch_tokens=4096)
    yield scheduler
    asyncio.run(scheduler.close(grace_s=5))


@pytest.fixture(scope="session")
def cell(tmp_path_factory: pytest.TempPathFactory, scheduler: Scheduler) -> Callable[[str, str], Cell]:
    """From an architecture and a kind of tokenizer to a Cell."""

    @cache
    def vocabulary(kind: str) -> tuple[Path, Vocabulary]:
        folder = tmp_path_factory.mktemp(kind)
        tokenizers.build(kind, folder)
        return folder, Vocabulary.load(folder)

    @cache
    def make(architecture: str, kind: str) -> Cell:
        files, words = vocabulary(kind)
        folder = tmp_path_factory.mktemp(f"{architecture}-{kind}")
        for path in files.iterdir():
            os.link(path, folder / path.name)
        architectures.build(architecture, words.size + PADDING, folder)
        loaded = engine.load(f"{architecture} {kind}", folder, scheduler, PrefixCache(0), 0, Settings(device="cpu"))
        network = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
        return Cell(architecture, kind, loaded, words, network, scheduler)

    return make


PADDING = 3  # ids that only the logits know, as in models whose vocabulary is rounded up
