"""A scheduler over a worker whose every step the test decides."""

from collections.abc import AsyncIterator

import pytest
from workers import PATIENCE_S, Bench

from inference_server.scheduler.scheduler import Scheduler


@pytest.fixture
async def scheduler() -> AsyncIterator[Scheduler]:
    scheduler = Scheduler(queue_limit=8, batch_size=4)
    yield scheduler
    await scheduler.close(grace_s=PATIENCE_S)


@pytest.fixture
def bench(scheduler: Scheduler) -> Bench:
    return Bench(scheduler)
