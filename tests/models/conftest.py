"""Small models of every architecture with every tokenizer, and in the shapes that published ones have, each built once
and loaded as the server loads it, caches included."""

import asyncio
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from servers import PATIENCE_S
from tokenizers import Tokenizer
from torch import Tensor
from workers import FakeExecutor, settled

from inference_server.cpu import dtype as dtype_module
from inference_server.engine import engine
from inference_server.engine.engine import Engine
from inference_server.kvcache.logits_cache import LogitsCache
from inference_server.models.adapter import Files
from inference_server.runtime.paged_backend import PagedBackend
from inference_server.scheduler.scheduler import Scheduler
from inference_server.settings import Settings
from inference_server.tokenizer.tokenizer import ModelTokenizer
from models import architectures, gguf_files, tokenizers
from models.forms import FORMS
from models.shipped import PADDING, SHAPES, Shape

__all__ = ["PADDING", "Cell"]


CACHE_BYTES = 1 << 20
GGUF = "gguf"  # instead of a kind of tokenizer
MIXED = ("Q4_1", "Q8_0", "Q5_0", "Q4_K", "F16", "Q6_K")


@dataclass(frozen=True)
class Cell:
    """One architecture with one tokenizer: our engine, with its caches, and plain transformers beside it."""

    architecture: str
    kind: str
    engine: Engine
    vocabulary: ModelTokenizer
    network: Any
    scheduler: Scheduler
    own: Tokenizer | None = None
    """What the tokenizers library makes of the folder's tokenizer.json."""

    def ids(self, text: str) -> list[int]:
        """A text as its file has it read, without the marks behind it."""
        assert self.own is not None
        bare: list[int] = self.own.encode(text, add_special_tokens=False).ids
        framed: list[int] = self.own.encode(text).ids
        at = next(at for at in range(len(framed)) if framed[at : at + len(bare)] == bare)
        return framed[: at + len(bare)]

    def plain(self, token_ids: Sequence[int]) -> Tensor:
        """The (T, V) float32 logits of transformers for one prompt by itself."""
        with torch.inference_mode():
            logits: Tensor = self.network(input_ids=torch.tensor([token_ids])).logits[0].float()
        return logits

    def forget(self) -> None:
        """Empties the engine's caches."""
        executor = self.engine.executor
        executor.cache = LogitsCache(CACHE_BYTES)
        if isinstance(executor.backend, PagedBackend):
            until = time.monotonic() + PATIENCE_S
            while True:  # the worker may be prefetching for the answer before
                for table in executor.backend.prefetcher.clear():
                    executor.backend.runner.close(table)
                executor.backend.runner.tree.clear()
                if executor.backend.runner.pool.used == 0:
                    break
                assert time.monotonic() < until, executor.backend.runner.pool.used
                time.sleep(0.02)
        if (cache := executor.model.hf_cache) is not None:
            for key in [*cache._entries]:
                cache._drop(key)
            assert cache.used_bytes == 0

    async def together(self, ask: Callable[[], Sequence[Any]]) -> list[Any]:
        """The answers of coroutines whose requests all wait when the worker becomes free."""
        free = threading.Event()
        gate = FakeExecutor("gate", lambda prompts: [free.wait(30)])
        with self.scheduler.admit() as permit:
            held = asyncio.create_task(self.scheduler.run(gate.sequence(0, permit)))
            asked = [asyncio.create_task(coroutine) for coroutine in ask()]
            await settled()  # each waits in the queue, or has left it
            free.set()
            await held
            return await asyncio.gather(*asked)


@pytest.fixture(scope="session", autouse=True)
def no_progress_bars() -> None:
    transformers.utils.logging.disable_progress_bar()


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that loads."""
    folder = tmp_path_factory.mktemp("sound")
    architectures.build("llama", 300, folder)
    return folder


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    """A copy of it to damage."""
    return Path(shutil.copytree(sound, tmp_path / "model"))


@pytest.fixture(scope="session")
def scheduler() -> Iterator[Scheduler]:
    scheduler = Scheduler(queue_limit=64, batch_size=16)
    yield scheduler
    asyncio.run(scheduler.close(grace_s=5))


@pytest.fixture(scope="session")
def cell(tmp_path_factory: pytest.TempPathFactory, scheduler: Scheduler) -> Callable[[str, str], Cell]:
    """From an architecture and a kind of tokenizer, or a shape of SHAPES, to a Cell."""

    @cache
    def vocabulary(kind: str) -> tuple[Path, ModelTokenizer]:
        folder = tmp_path_factory.mktemp(kind)
        shape_of(kind).tokenizer(folder)
        return folder, ModelTokenizer.load(folder)

    @cache
    def make(architecture: str, kind: str) -> Cell:
        if kind == GGUF:
            return gguf_cell(architecture, *vocabulary("byte_bpe"), tmp_path_factory.mktemp("gguf"), scheduler)
        files, words = vocabulary(kind)
        folder = tmp_path_factory.mktemp(f"{architecture}-{kind}")
        for path in files.iterdir():
            shutil.copy(path, folder)
        shape = shape_of(kind)
        source: Files = folder
        network: Any
        if architecture in FORMS:
            source, network = FORMS[architecture](words.size + shape.padding, folder)
        else:
            architectures.build(architecture, words.size + shape.padding, folder)
            shape.finish(folder)
            network = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype="float32").eval()
        loaded = engine.load(
            f"{architecture} {kind}", source, scheduler, LogitsCache(CACHE_BYTES), CACHE_BYTES, Settings(device="cpu")
        )
        own = Tokenizer.from_file(str(folder / "tokenizer.json"))
        return Cell(architecture, kind, loaded, words, network, scheduler, own)

    return make


def gguf_cell(
    architecture: str,
    files: Path,
    words: ModelTokenizer,
    folder: Path,
    scheduler: Scheduler,
    cache_bytes: int = CACHE_BYTES,
    **settings: Any,
) -> Cell:
    """One of gguf_files.CONFIGS as a GGUF file, its weights packed as large models' are."""
    written = gguf_files.write(architecture, MIXED, files, folder / f"{architecture}.gguf", PADDING)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dtype_module, "LEAST_ELEMENTS", 0)
        loaded = engine.load(
            f"{architecture}.gguf",
            written.path,
            scheduler,
            LogitsCache(cache_bytes),
            cache_bytes,
            Settings(device="cpu", **settings),
        )
    return Cell(architecture, "byte_bpe", loaded, words, written.network, scheduler, gguf_files.own(files))


def shape_of(kind: str) -> Shape:
    """A folder with one kind of tokenizer as it was saved, or one of shipped.SHAPES."""
    return SHAPES.get(kind) or Shape(lambda folder: tokenizers.build(kind, folder))
