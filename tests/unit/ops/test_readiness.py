"""When a server has started and when it can answer, by the states of its models and its thread's last step."""

import asyncio
from pathlib import Path
from typing import Literal

import pytest
from fakes import FakeEngine
from gateways import until

from inference_server.errors import LoadFailed
from inference_server.models.bundled import NAME
from inference_server.models.model_status import ModelState
from inference_server.models.registry import Registry
from inference_server.ops.readiness import STOPPING, Readiness
from inference_server.scheduler.watchdog import Watchdog

PATIENCE_S = 60.0
When = Literal["any", "default"]


def fetch(name: str, *_: object) -> Path:
    if name != NAME:
        raise LoadFailed("nobody has it")
    return Path()


async def settled(default: str) -> Registry:
    """A registry all of whose models are ready, or have failed."""
    registry = Registry(default, (), fetch, lambda name, folder: FakeEngine())
    registry.start()
    await until(lambda: all(model.state in (ModelState.READY, ModelState.FAILED) for model in registry.models()))
    return registry


@pytest.mark.parametrize("when", ["any", "default"])
def test_nothing_is_ready_before_a_model_is(when: When) -> None:
    readiness = Readiness(Registry(NAME, (), fetch, lambda *_: FakeEngine()), Watchdog(), when, 1.0)
    assert NAME in readiness.not_started()
    assert readiness.not_ready() == readiness.not_started()


@pytest.mark.parametrize(("when", "ready"), [("any", True), ("default", False)])
async def test_which_models_count(when: When, ready: bool) -> None:
    registry = await settled("owner/missing")
    readiness = Readiness(registry, Watchdog(), when, 1.0)
    assert (readiness.not_started() == "", readiness.not_ready() == "") == (ready, ready)
    if not ready:
        assert "nobody has it" in readiness.not_ready()
    registry.stop()
    await asyncio.to_thread(registry.join, PATIENCE_S)


async def test_what_is_ready_may_stop_being_so_and_has_started_all_the_same() -> None:
    registry, watchdog = await settled(NAME), Watchdog()
    readiness = Readiness(registry, watchdog, "any", stall_s=0.0)
    assert readiness.not_ready() == ""
    watchdog.wait()
    await asyncio.sleep(0.001)
    assert "no step finished" in readiness.not_ready()
    readiness.stall_s = 600.0
    assert readiness.not_ready() == ""
    readiness.stopping = True
    assert (readiness.not_ready(), readiness.not_started()) == (STOPPING, "")
    registry.stop()
    await asyncio.to_thread(registry.join, PATIENCE_S)
