"""The server's models, their states, and the thread that loads them."""

import asyncio
import contextlib
import contextvars
import queue
import reprlib
import threading
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import structlog

from inference_server import errors
from inference_server.chat_messages import RenderChatAnswer, RenderChatQuery
from inference_server.compare_messages import CompareAnswer, CompareQuery
from inference_server.generate_messages import GenerateEvent, GenerateQuery
from inference_server.grow_messages import GrowEvent, GrowQuery
from inference_server.influence_messages import InfluenceEvents, InfluenceQuery
from inference_server.layer_messages import LayersAnswer, LayersQuery
from inference_server.messages import NOBODY, Client, ModelFacts, ScoreAnswer, ScoreQuery, TopKAnswer, TopKQuery
from inference_server.models import bundled
from inference_server.models.adapter import AdapterFiles, Files
from inference_server.models.model_status import ModelState, ModelStatus
from inference_server.models.public_reason import public
from inference_server.stats import ModelStats
from inference_server.tokenize_messages import TokenizeAnswer, TokenizeQuery

WATCH_INTERVAL_S = 0.1  # the API promises at most ten updates a second

STOPPING = "the server is stopping; retry later"
UNEXPECTED = "unexpected error; see the server's log"

logger = structlog.get_logger()


class Engine(Protocol):
    """A loaded model. A protocol because the engine module imports torch, which takes seconds."""

    @property
    def facts(self) -> ModelFacts: ...

    @property
    def stats(self) -> ModelStats: ...

    async def top_k(self, query: TopKQuery, deadline: float | None, client: Client = NOBODY) -> TopKAnswer: ...
    async def score(self, query: ScoreQuery, deadline: float | None, client: Client = NOBODY) -> ScoreAnswer: ...
    async def layers(self, query: LayersQuery, deadline: float | None, client: Client = NOBODY) -> LayersAnswer: ...
    async def render_chat(
        self, query: RenderChatQuery, deadline: float | None, client: Client = NOBODY
    ) -> RenderChatAnswer: ...

    async def tokenize(
        self, query: TokenizeQuery, deadline: float | None, client: Client = NOBODY
    ) -> TokenizeAnswer: ...

    def generate(
        self, query: GenerateQuery, deadline: float | None, client: Client = NOBODY
    ) -> AsyncGenerator[GenerateEvent, None]: ...
    def influence(self, query: InfluenceQuery, deadline: float | None, client: Client = NOBODY) -> InfluenceEvents: ...

    async def compare(
        self, query: CompareQuery, other: Any, deadline: float | None, client: Client = NOBODY
    ) -> CompareAnswer: ...

    def grow(
        self, query: GrowQuery, deadline: float | None, client: Client = NOBODY
    ) -> AsyncGenerator[GrowEvent, None]: ...


class Cancelled(Exception):
    """Raised in a download or load when the server stops."""


OnProgress = Callable[[int, int], None]
"""Called with the bytes done and in total (0: unknown); raises Cancelled when the server stops."""

Fetch = Callable[[str, OnProgress], Files]
"""Returns the folder with a model's files, or its GGUF file; raises LoadFailed."""

Load = Callable[[str, Files], Engine]
"""Loads what was fetched; raises LoadFailed."""


class Registry:
    """Loads models one at a time, the bundled one first since it needs no download.

    Call it from one event loop; `fetch` and `load` run in the registry's thread.
    """

    def __init__(self, default: str, further: Sequence[str], fetch: Fetch, load: Load) -> None:
        names = dict.fromkeys([default, *further, bundled.NAME])
        self._models = {name: ModelStatus(name, is_default=name == default) for name in names}
        self._engines: dict[str, Engine] = {}
        self._default = default
        self._fetch = fetch
        self._load = load
        self._lock = threading.Lock()
        self._waiting: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._watchers: set[asyncio.Event] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Starts loading all models in the background."""
        self._loop = asyncio.get_running_loop()
        for name in sorted(self._models, key=lambda name: name != bundled.NAME):
            self._waiting.put(name)
        # A daemon, since downloads and loads can't always be interrupted at exit.
        run = contextvars.copy_context().run
        self._thread = threading.Thread(target=run, args=(self._work,), name="model-loader", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Rejects requests, ends watches and asks the loading thread to stop."""
        self._stopping.set()
        self._waiting.put(None)
        self._changed()

    def join(self, timeout_s: float) -> bool:
        """Waits for the loading thread after stop; returns whether it has ended."""
        if self._thread is None:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def models(self) -> tuple[ModelStatus, ...]:
        """All models, in the operator's order."""
        with self._lock:
            return tuple(self._models.values())

    def engine(self, name: str) -> tuple[str, Engine]:
        """A ready model's name and engine; an empty name means the default.

        Raises UnknownModel, ModelNotReady, ModelFailed or Stopping.
        """
        status = self._status(name or self._default)
        if status.state is ModelState.FAILED:
            raise errors.ModelFailed(f"{status.name} could not be loaded: {status.reason}")
        if status.state is not ModelState.READY:
            raise errors.ModelNotReady(str(status))
        return status.name, self._engines[status.name]

    def stats(self) -> dict[str, ModelStats]:
        """The statistics of the ready models."""
        return {name: engine.stats for name, engine in list(self._engines.items())}

    def retry(self, name: str) -> ModelStatus:
        """Queues a failed model again; does nothing in other states. Returns the status.

        Raises InvalidField, UnknownModel or Stopping.
        """
        if not name:
            raise errors.InvalidField("name", f"must not be empty; available models: {self._names()}")
        status = self._status(name)
        if status.state is ModelState.FAILED:
            self._set(replace(status, state=ModelState.QUEUED, reason=""))
            self._waiting.put(name)
        return self._status(name)

    async def watch(self, interval_s: float = WATCH_INTERVAL_S) -> AsyncGenerator[tuple[ModelStatus, ...], None]:
        """All models, now and after each change, at most once per interval; a slow reader skips to the latest.

        Raises Stopping when the registry stops.
        """
        changed = asyncio.Event()
        self._watchers.add(changed)
        try:
            last: tuple[ModelStatus, ...] | None = None
            while not self._stopping.is_set():
                changed.clear()
                if (now := self.models()) == last:
                    await changed.wait()
                else:
                    last = now
                    yield now
                    await asyncio.sleep(interval_s)
        finally:
            self._watchers.discard(changed)
        raise errors.Stopping(STOPPING)

    def _status(self, name: str) -> ModelStatus:
        if self._stopping.is_set():
            raise errors.Stopping(STOPPING)
        with self._lock:
            if name in self._models:
                return self._models[name]
        raise errors.UnknownModel(f"unknown model {reprlib.repr(name)}; available models: {self._names()}")

    def _names(self) -> str:
        return ", ".join(self._models)

    def _set(self, status: ModelStatus) -> None:
        with self._lock:
            self._models[status.name] = status
        self._changed()

    def _changed(self) -> None:
        """Wakes the watchers; thread-safe."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        for watcher in self._watchers:
            watcher.set()

    def _work(self) -> None:
        while (name := self._waiting.get()) is not None and not self._stopping.is_set():
            self._load_model(ModelStatus(name, is_default=name == self._default))

    def _load_model(self, model: ModelStatus) -> None:

        def on_progress(done: int, total: int) -> None:
            if self._stopping.is_set():
                raise Cancelled
            self._set(replace(model, state=ModelState.DOWNLOADING, bytes_done=done, bytes_total=total))

        started, folders = time.monotonic(), tuple[Path, ...]()
        try:
            files = self._fetch(model.name, on_progress)
            folders = (files.base, files.adapter) if isinstance(files, AdapterFiles) else (files,)
            self._set(replace(model, state=ModelState.LOADING))
            engine = self._load(model.name, files)
        except Cancelled:
            return
        except errors.LoadFailed as error:
            cause = error.__cause__
            known = {} if cause is None or str(cause) == str(error) else {"cause": repr(cause)}
            logger.warning("model not loaded", model=model.name, reason=str(error), **known)
            self._set(replace(model, state=ModelState.FAILED, reason=public(str(error), *folders)))
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # a panic in a native library is not an Exception, and must not end the thread
            logger.exception("model not loaded", model=model.name)
            self._set(replace(model, state=ModelState.FAILED, reason=UNEXPECTED))
        else:
            self._engines[model.name] = engine
            self._set(replace(model, state=ModelState.READY, facts=engine.facts))
            logger.info("model ready", model=model.name, seconds=round(time.monotonic() - started, 2))
