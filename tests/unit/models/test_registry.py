import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import structlog
from fakes import FakeEngine

from inference_server import errors
from inference_server.errors import LoadFailed
from inference_server.models.adapter import Files
from inference_server.models.bundled import NAME as BUNDLED
from inference_server.models.model_status import ModelState, ModelStatus
from inference_server.models.registry import Cancelled, OnProgress, Registry

DEFAULT, OTHER = "owner/default", "owner/other"
WAIT_S = 20.0


class Loader:
    """Fetch and load whose every step waits for the test; what it was asked for, in order."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.progress: dict[str, OnProgress] = {}
        self.failure: dict[str, BaseException] = {}
        self.held = {name: threading.Event() for name in (DEFAULT, OTHER, BUNDLED)}
        self.engines: dict[str, Any] = {name: FakeEngine() for name in (DEFAULT, OTHER, BUNDLED)}
        self.begun = {name: threading.Event() for name in (DEFAULT, OTHER, BUNDLED)}

    def fetch(self, name: str, on_progress: OnProgress) -> Path:
        self.asked.append(name)
        self.progress[name] = on_progress
        self.begun[name].set()
        assert self.held[name].wait(WAIT_S)
        on_progress(1, 1)
        return Path("/models", name)

    def load(self, name: str, folder: Files) -> Any:
        assert folder == Path("/models", name)
        if name in self.failure:
            raise self.failure.pop(name)
        return self.engines[name]

    def release(self, *names: str) -> None:
        for name in names:
            self.held[name].set()


@pytest.fixture
def loader() -> Loader:
    return Loader()


@pytest.fixture
async def registry(loader: Loader) -> AsyncIterator[Registry]:
    registry = Registry(DEFAULT, [OTHER, DEFAULT], loader.fetch, loader.load)
    registry.start()
    yield registry
    registry.stop()
    loader.release(*loader.held)
    assert await asyncio.to_thread(registry.join, WAIT_S)


async def until(registry: Registry, holds: Callable[[dict[str, ModelStatus]], bool]) -> dict[str, ModelStatus]:
    async with asyncio.timeout(WAIT_S):
        async for models in registry.watch():
            if holds(found := {model.name: model for model in models}):
                return found
    raise AssertionError("the watch ended")


@pytest.mark.parametrize(
    ("default", "further", "order"),
    [
        ("a", [], ["a", "bundled"]),
        ("bundled", [], ["bundled"]),
        ("a", ["b", "a", "b"], ["a", "b", "bundled"]),
        ("a", ["bundled", "b"], ["a", "bundled", "b"]),
    ],
)
def test_models_are_listed_once_default_first_and_bundled_last(
    default: str, further: list[str], order: list[str], loader: Loader
) -> None:
    models = Registry(default, further, loader.fetch, loader.load).models()
    assert [model.name for model in models] == order
    assert [model.name for model in models if model.is_default] == [default]


async def test_bundled_loads_first_then_the_others_one_at_a_time(registry: Registry, loader: Loader) -> None:
    loader.release(BUNDLED)
    models = await until(registry, lambda models: models[BUNDLED].state is ModelState.READY)
    assert models[OTHER].state is ModelState.QUEUED
    assert loader.begun[DEFAULT].wait(WAIT_S)
    assert loader.asked == [BUNDLED, DEFAULT]
    loader.release(DEFAULT, OTHER)
    await until(registry, lambda models: models[OTHER].state is ModelState.READY)
    assert loader.asked == [BUNDLED, DEFAULT, OTHER]


async def test_an_empty_name_means_the_default_and_never_another(registry: Registry, loader: Loader) -> None:
    loader.release(BUNDLED)
    await until(registry, lambda models: models[BUNDLED].state is ModelState.READY)
    with pytest.raises(errors.ModelNotReady, match=f"{DEFAULT} is "):
        registry.engine("")
    loader.release(DEFAULT)
    await until(registry, lambda models: models[DEFAULT].state is ModelState.READY)
    assert registry.engine("") == (DEFAULT, loader.engines[DEFAULT])
    assert registry.engine(BUNDLED) == (BUNDLED, loader.engines[BUNDLED])


async def test_a_model_on_its_way_says_how_far(registry: Registry, loader: Loader) -> None:
    assert loader.begun[BUNDLED].wait(WAIT_S)
    with pytest.raises(errors.ModelNotReady, match=f"^{OTHER} is queued behind another model$"):
        registry.engine(OTHER)
    loader.progress[BUNDLED](312_000_000, 724_000_000)
    with pytest.raises(errors.ModelNotReady, match=r"^bundled is downloading: 312 of 724 MB$"):
        registry.engine(BUNDLED)
    loader.progress[BUNDLED](0, 0)
    with pytest.raises(errors.ModelNotReady, match=r"^bundled is downloading$"):
        registry.engine(BUNDLED)


async def test_an_unlisted_name_is_refused_with_the_listed_ones_and_never_loaded(
    registry: Registry, loader: Loader
) -> None:
    for ask in (registry.engine, registry.retry):
        with pytest.raises(errors.UnknownModel, match=f"'gpt2'.*{DEFAULT}, {OTHER}, {BUNDLED}"):
            ask("gpt2")
    with pytest.raises(errors.UnknownModel) as refused:
        registry.engine("x" * 1_000_000)
    assert len(str(refused.value)) < 500
    assert set(loader.asked) <= {BUNDLED}


async def test_a_failure_keeps_its_reason_and_can_be_retried(registry: Registry, loader: Loader) -> None:
    loader.failure[BUNDLED] = LoadFailed("no network: plug it in")
    loader.release(*loader.held)
    models = await until(registry, lambda models: models[BUNDLED].state is ModelState.FAILED)
    assert models[BUNDLED].reason == "no network: plug it in"
    with pytest.raises(errors.ModelFailed, match="bundled could not be loaded: no network: plug it in"):
        registry.engine(BUNDLED)
    assert registry.retry(BUNDLED).state is not ModelState.FAILED
    models = await until(registry, lambda models: models[BUNDLED].state is ModelState.READY)
    assert (models[BUNDLED].reason, models[BUNDLED].facts) == ("", loader.engines[BUNDLED].facts)
    assert loader.asked.count(BUNDLED) == 2


async def test_the_log_names_a_cause_that_says_more_than_the_reason(registry: Registry, loader: Loader) -> None:
    same, other = LoadFailed("disk full"), LoadFailed("no network")
    same.__cause__, other.__cause__ = LoadFailed("disk full"), OSError("unknown host")
    loader.failure.update({BUNDLED: same, DEFAULT: other, OTHER: LoadFailed("too large")})
    with structlog.testing.capture_logs() as logs:
        loader.release(BUNDLED, DEFAULT, OTHER)
        await until(registry, lambda models: models[OTHER].state is ModelState.FAILED)
    told = {each["model"]: (each["reason"], each.get("cause")) for each in logs if each["event"] == "model not loaded"}
    assert told == {
        BUNDLED: ("disk full", None),
        DEFAULT: ("no network", "OSError('unknown host')"),
        OTHER: ("too large", None),
    }


@pytest.mark.parametrize("kind", [RuntimeError, BaseException])  # the latter as where a native library panics
async def test_an_unexpected_failure_is_told_in_general_words_and_the_others_load(
    registry: Registry, loader: Loader, kind: type[BaseException]
) -> None:
    loader.failure[BUNDLED] = kind("secret internals")
    loader.release(*loader.held)
    models = await until(registry, lambda models: models[BUNDLED].state is ModelState.FAILED)
    assert "secret" not in models[BUNDLED].reason
    assert "log" in models[BUNDLED].reason
    await until(registry, lambda models: models[OTHER].state is ModelState.READY)


async def test_retry_leaves_a_model_that_is_ready_or_on_its_way_alone(registry: Registry, loader: Loader) -> None:
    assert registry.retry(OTHER).state is ModelState.QUEUED
    loader.release(*loader.held)
    await until(registry, lambda models: models[OTHER].state is ModelState.READY)
    assert registry.retry(OTHER).state is ModelState.READY
    assert loader.asked == [BUNDLED, DEFAULT, OTHER]
    with pytest.raises(errors.InvalidField, match="name: must not be empty"):
        registry.retry("")


async def test_a_slow_watcher_gets_the_newest_only(registry: Registry, loader: Loader) -> None:
    assert loader.begun[BUNDLED].wait(WAIT_S)
    watch = registry.watch()
    await anext(watch)
    for done in range(1, 1001):
        loader.progress[BUNDLED](done, 1000)
    seen = [model.bytes_done for model in await anext(watch) if model.name == BUNDLED]
    assert seen == [1000]
    await watch.aclose()


async def test_changes_reach_every_watcher_in_few_lists(registry: Registry, loader: Loader) -> None:
    assert loader.begun[BUNDLED].wait(WAIT_S)
    lists: list[int] = []

    async def watch() -> None:
        async for models in registry.watch():
            done = next(model.bytes_done for model in models if model.name == BUNDLED)
            lists.append(done)
            if done == 300:
                return

    async with asyncio.timeout(WAIT_S), asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(watch())
        for done in range(1, 301):
            loader.progress[BUNDLED](done, 300)
            await asyncio.sleep(0)
    assert lists.count(300) == 3
    assert len(lists) < 100


async def test_a_stop_ends_watches_refuses_requests_and_cancels_downloads(loader: Loader) -> None:
    registry = Registry(DEFAULT, [], loader.fetch, loader.load)
    registry.start()
    assert loader.begun[BUNDLED].wait(WAIT_S)
    watch = registry.watch()
    await anext(watch)
    registry.stop()
    with pytest.raises(errors.Stopping):
        await anext(watch)
    with pytest.raises(errors.Stopping):
        registry.engine("")
    with pytest.raises(errors.Stopping):
        registry.retry(DEFAULT)
    with pytest.raises(Cancelled):
        loader.progress[BUNDLED](1, 2)
    assert not registry.join(0)
    loader.release(BUNDLED)
    assert await asyncio.to_thread(registry.join, WAIT_S)
    assert loader.asked == [BUNDLED]
