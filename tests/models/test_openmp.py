"""Threads that helped to compute are let go, for the runtime lets all its threads sleep while there are many.

And those that wait for each other do so briefly.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from workers import Bench

from inference_server.engine import engine
from inference_server.errors import LoadFailed
from inference_server.host import openmp, stepwise
from inference_server.kvcache.logits_cache import LogitsCache
from inference_server.models import bundled
from inference_server.scheduler.scheduler import Scheduler
from inference_server.settings import Settings

HELPERS = 2


def compute() -> float:
    """Work that torch shares out."""
    return float(torch.ones(1 << 20).sum())


def dismissed() -> int:
    """How many helpers the calling thread had."""
    before = psutil.Process().num_threads()
    openmp.dismiss()
    return before - psutil.Process().num_threads()


@pytest.fixture
def thread() -> Iterator[ThreadPoolExecutor]:
    """A thread of its own, which shares its work with two more."""
    before = torch.get_num_threads()
    with ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(HELPERS + 1,)) as executor:
        executor.submit(compute).result()
        executor.submit(openmp.dismiss).result()
        yield executor
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({}, {"GOMP_SPINCOUNT": str(openmp.SPINS)}),
        ({"GOMP_SPINCOUNT": "7"}, {"GOMP_SPINCOUNT": "7"}),
        ({"OMP_WAIT_POLICY": "passive"}, {"OMP_WAIT_POLICY": "passive"}),
    ],
)
def test_what_the_operator_chose_stays(chosen: dict[str, str], expected: dict[str, str]) -> None:
    openmp.prepare(chosen)
    assert chosen == expected


SPINNING = """
import os, time
from inference_server.host import openmp
openmp.prepare(os.environ)
import torch
torch.set_num_threads(2)
found = []
for _ in range(10):
    torch.ones(1 << 22).sum()
    before = time.process_time()
    time.sleep(0.2)
    found.append(time.process_time() - before)
print(max(found))
"""


@pytest.mark.skipif((os.cpu_count() or 1) < 2 or openmp.runtime() is None, reason="no helper that would spin")
def test_a_helper_spins_for_about_a_millisecond() -> None:
    """Long enough for the next part of a step, whatever a spin takes on this kind of processor."""
    unset = {key: value for key, value in os.environ.items() if not key.startswith(("GOMP_", "OMP_"))}
    command, environment = [sys.executable, "-c", SPINNING], unset | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert 2e-4 < float(done.stdout) < 2e-2, done.stdout


def test_helpers_end_and_come_back(thread: ThreadPoolExecutor) -> None:
    for _ in range(2):
        assert thread.submit(compute).result() == 1 << 20
        assert thread.submit(dismissed).result() == HELPERS
    assert thread.submit(dismissed).result() == 0


def test_helpers_of_other_threads_stay(thread: ThreadPoolExecutor) -> None:
    thread.submit(compute).result()
    openmp.dismiss()
    assert thread.submit(dismissed).result() == HELPERS


def test_a_thread_may_do_without(thread: ThreadPoolExecutor) -> None:
    thread.submit(openmp.do_without).result()
    for _ in range(2):
        assert thread.submit(compute).result() == 1 << 20
        assert thread.submit(dismissed).result() == 0


async def test_an_answer_beside_the_worker_has_none(thread: ThreadPoolExecutor, scheduler: Scheduler) -> None:
    """They would stay, and the worker's would not spin any more."""
    del thread  # which decides how many there would be
    bench, left = Bench(scheduler), list[int]()

    def described() -> None:
        compute()
        left.append(dismissed())

    bench.cached, bench.beside = {"known"}, described
    assert (await bench.ask("known")).outputs == ["KNOWN"]
    assert left == [0]


def test_nor_has_a_computation_that_pauses(thread: ThreadPoolExecutor) -> None:
    del thread
    before = psutil.Process().num_threads()

    def work() -> None:
        for _ in range(2):
            compute()
            stepwise.pause()

    steps = stepwise.Stepwise(work)
    for _ in range(2):
        steps.step(0.0)
        assert psutil.Process().num_threads() == before + 1
    steps.close()


def test_a_loaded_model_leaves_no_helpers(thread: ThreadPoolExecutor, scheduler: Scheduler) -> None:
    cache, settings = LogitsCache[Any](0), Settings(device="cpu")
    thread.submit(engine.load, "bundled", bundled.FOLDER, scheduler, cache, 0, settings).result()
    assert thread.submit(dismissed).result() == 0


def test_nor_does_one_that_fails(thread: ThreadPoolExecutor, scheduler: Scheduler, tmp_path: Path) -> None:
    thread.submit(compute).result()
    with pytest.raises(LoadFailed):
        thread.submit(engine.load, "empty", tmp_path, scheduler, LogitsCache(0), 0, Settings(device="cpu")).result()
    assert thread.submit(dismissed).result() == 0
