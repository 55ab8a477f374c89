"""The models this server may use, the state of each, and the thread that loads them. Knows neither gRPC nor torch."""

import asyncio
import contextlib
import contextvars
import queue
import reprlib
import threading
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Protocol

import structlog

from inference_server import errors
from inference_server.messages import NOBODY, Client, ModelFacts, ScoreAnswer, ScoreQuery, TopKAnswer, TopKQuery
from inference_server.models import bundled
from inference_server.models.public_reason import public
from inference_server.stats import ModelStats

WATCH_INTERVAL_S = 0.1  # the contract promises watchers at most ten lists a second

STOPPING = "the server is stopping; try again in a moment"
UNEXPECTED = "an unexpected fault, described in the server's log; fix its cause there and load the model again"

logger = structlog.get_logger()


class ModelState(Enum):
    """Where a model is on its way to answering."""

    QUEUED = "queued behind another model"
    DOWNLOADING = "downloading"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """A model as it is at one moment; byte counts are 0 unless DOWNLOADING, the reason is empty unless FAILED."""

    name: str
    is_default: bool
    state: ModelState = ModelState.QUEUED
    bytes_done: int = 0
    bytes_total: int = 0
    reason: str = ""
    facts: ModelFacts | None = None

    def __str__(self) -> str:
        """The state in words, with its progress."""
        words = f"{self.name} is {self.state.value}"
        if self.state is ModelState.DOWNLOADING and self.bytes_total:
            words += f": {self.bytes_done / 1e6:.0f} of {self.bytes_total / 1e6:.0f} MB"
        return words


class Engine(Protocol):
    """What answers for a loaded model. The engine module itself brings torch, which takes seconds to import."""

    @property
    def facts(self) -> ModelFacts: ...

    @property
    def stats(self) -> ModelStats: ...

    async def top_k(self, query: TopKQuery, deadline: float | None, client: Client = NOBODY) -> TopKAnswer: ...

    async def score(self, query: ScoreQuery, deadline: float | None, client: Client = NOBODY) -> ScoreAnswer: ...


class Cancelled(Exception):
    """The server stops: whoever fetches or loads should give up."""


OnProgress = Callable[[int, int], None]
"""Called with (bytes done, bytes in all, 0 while unknown); raises Cancelled once the server stops."""

Fetch = Callable[[str, OnProgress], Path]
"""Brings a model's files into a folder, however long it takes; raises LoadFailed."""

Load = Callable[[str, Path], Engine]
"""Reads a folder into a model that answers; raises LoadFailed."""


class Registry:
    """Names, states and engines. Models load one at a time: the bundled one first, for it needs no download.

    Everything is called from one event loop, except that `fetch` and `load` run in the registry's own thread.
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
        """Starts loading every model, in the background."""
        self._loop = asyncio.get_running_loop()
        for name in sorted(self._models, key=lambda name: name != bundled.NAME):
            self._waiting.put(name)
        # A daemon: a library that can't be interrupted while it downloads or reads must not keep the process alive.
        work = contextvars.copy_context().run
        self._thread = threading.Thread(target=work, args=(self._work,), name="model-loader", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Refuses requests, ends watches and asks the loading thread to give up."""
        self._stopping.set()
        self._waiting.put(None)
        self._changed()

    def join(self, timeout_s: float) -> bool:
        """Waits for the loading thread, after stop; says whether it has ended."""
        if self._thread is None:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def models(self) -> tuple[ModelStatus, ...]:
        """Every model as it is now, in the operator's order."""
        with self._lock:
            return tuple(self._models.values())

    def engine(self, name: str) -> tuple[str, Engine]:
        """The name and engine of the model a request asks for; an empty name means the default.

        Raises UnknownModel, ModelNotReady, ModelFailed or Stopping.
        """
        status = self._status(name or self._default)
        if status.state is ModelState.FAILED:
            raise errors.ModelFailed(f"{status.name} could not be loaded: {status.reason}")
        if status.state is not ModelState.READY:
            raise errors.ModelNotReady(str(status))
        return status.name, self._engines[status.name]

    def stats(self) -> dict[str, ModelStats]:
        """What each model that is ready counts, by name."""
        return {name: engine.stats for name, engine in list(self._engines.items())}

    def retry(self, name: str) -> ModelStatus:
        """Queues a model that failed; leaves one in any other state alone. Returns its status.

        Raises InvalidField, UnknownModel or Stopping.
        """
        if not name:
            raise errors.InvalidField("name", f"must not be empty; this server has {self._listed()}")
        status = self._status(name)
        if status.state is ModelState.FAILED:
            self._set(replace(status, state=ModelState.QUEUED, reason=""))
            self._waiting.put(name)
        return self._status(name)

    async def watch(self, interval_s: float = WATCH_INTERVAL_S) -> AsyncGenerator[tuple[ModelStatus, ...], None]:
        """The models now and after each change, at most once an interval; a slow reader gets only the newest.

        Ends with Stopping when the registry stops.
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
        raise errors.UnknownModel(f"no model {reprlib.repr(name)} here; this server has {self._listed()}")

    def _listed(self) -> str:
        return ", ".join(self._models)

    def _set(self, status: ModelStatus) -> None:
        with self._lock:
            self._models[status.name] = status
        self._changed()

    def _changed(self) -> None:
        """Wakes the watchers, from whatever thread."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has closed: nobody watches
                self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        for watcher in self._watchers:
            watcher.set()

    def _work(self) -> None:
        while (name := self._waiting.get()) is not None and not self._stopping.is_set():
            self._bring(ModelStatus(name, is_default=name == self._default))

    def _bring(self, model: ModelStatus) -> None:
        """Takes one model from QUEUED to READY or FAILED."""

        def on_progress(done: int, total: int) -> None:
            if self._stopping.is_set():
                raise Cancelled
            self._set(replace(model, state=ModelState.DOWNLOADING, bytes_done=done, bytes_total=total))

        started, folder = time.monotonic(), None
        try:
            folder = self._fetch(model.name, on_progress)
            self._set(replace(model, state=ModelState.LOADING))
            engine = self._load(model.name, folder)
        except Cancelled:
            return
        except errors.LoadFailed as error:
            logger.warning("model not loaded", model=model.name, reason=str(error), cause=repr(error.__cause__))
            self._set(replace(model, state=ModelState.FAILED, reason=public(str(error), folder)))
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # a panic in a native library is no Exception, and must not end the thread
            logger.exception("model not loaded", model=model.name)
            self._set(replace(model, state=ModelState.FAILED, reason=UNEXPECTED))
        else:
            self._engines[model.name] = engine
            self._set(replace(model, state=ModelState.READY, facts=engine.facts))
            logger.info("model ready", model=model.name, seconds=round(time.monotonic() - started, 2))
