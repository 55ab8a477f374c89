"""Work in the background makes way for others, and gets on all the same."""

import asyncio
import threading
import time
from typing import Any

from workers import PATIENCE_S, FakeExecutor

from inference_server.scheduler.scheduler import Scheduler
from inference_server.sequence import Sequence


class Yielding(FakeExecutor):
    """Ends a step in the background once it is interrupted, if it may be; remembers what it computed."""

    def __init__(self) -> None:
        super().__init__("yielding", list)
        self.steps: list[str] = []
        self.begun = threading.Event()

    def execute(self, batch: list[tuple[Sequence[Any], int]]) -> None:
        ((sequence, _),) = batch
        self.steps.append("behind" if sequence.background else "click")
        self.begun.set()
        end = time.monotonic() + PATIENCE_S
        while sequence.interruption is not None and time.monotonic() < end:
            sequence.interruption.check()
        sequence.receive("done")


async def test_work_in_the_background_ends_its_step_for_others_and_then_gets_one(scheduler: Scheduler) -> None:
    executor = Yielding()
    behind, click = executor.sequence(1), executor.sequence(2)
    behind.background = True
    work = asyncio.create_task(scheduler.run(behind))
    assert await asyncio.to_thread(executor.begun.wait, PATIENCE_S)
    await scheduler.run(click)
    await work
    assert executor.steps == ["behind", "click", "behind"]
    assert (behind.outputs, click.outputs) == (["done"], ["done"])
    assert behind.compute_s > 0
