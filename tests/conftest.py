"""What holds for every test, as they run beside each other, one process per core."""

import gc
import re
from pathlib import Path

import hypothesis
import pytest
import structlog

from inference_server.runtime import meta_kernels

TESTS = Path(__file__).parent
FOLDERS = {"integration": 0, "attack": 1, "models": 2}  # with slow files, in the order to begin with

hypothesis.settings.register_profile(  # what an example takes is the machine's matter
    "untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("untimed")
gc.disable()  # what imports and collected tests are made of stays until the end; looking through it takes a third more

vars(re)["_MAXCACHE"] = 1 << 14  # of 512: transformers compiles 400 patterns for each model that it reads or writes


def pytest_collectstart() -> None:
    """Imports torch as the server does: where tests are collected, and not in a process that only hands them out."""
    meta_kernels.import_torch()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow files first, so that no worker is left alone with one at the end."""
    items.sort(key=lambda item: FOLDERS.get(item.path.relative_to(TESTS).parts[0], len(FOLDERS)))


def pytest_collection_finish() -> None:
    """From here on, garbage is looked for among what tests make."""
    gc.enable()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Computing takes one thread."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def plain_tracebacks() -> None:
    """A fault that is logged takes a moment, and not ten seconds for drawing every local of a network."""
    renderer = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*structlog.get_config()["processors"][:-1], renderer])
