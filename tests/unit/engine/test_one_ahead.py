"""A stream is computed one step ahead of its reader, never more, and ends with it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest
from calls import until

from inference_server.engine.one_ahead import one_ahead


class Counting:
    """Counts the steps that were begun and whether it was closed."""

    def __init__(self, fails_at: int | None = None, hangs_at: int | None = None) -> None:
        self.begun = 0
        self.closed = False
        self.fails_at, self.hangs_at = fails_at, hangs_at

    async def steps(self, count: int = 10) -> AsyncGenerator[int, None]:
        try:
            for at in range(count):
                self.begun += 1
                if at == self.fails_at:
                    raise ValueError(at)
                if at == self.hangs_at:
                    await asyncio.Event().wait()
                await asyncio.sleep(0)
                yield at
        finally:
            self.closed = True


async def test_all_steps_in_order() -> None:
    counting = Counting()
    assert [step async for step in one_ahead(counting.steps())] == list(range(10))
    assert counting.closed


async def test_one_step_beyond_what_was_taken() -> None:
    counting = Counting()
    async with aclosing(one_ahead(counting.steps())) as steps:
        for taken in range(1, 4):
            await anext(steps)
            for _ in range(20):
                await asyncio.sleep(0)
            assert counting.begun == taken + 1
    assert counting.closed


async def test_an_error_comes_after_the_steps_before_it() -> None:
    steps = one_ahead(Counting(fails_at=2).steps())
    assert [await anext(steps), await anext(steps)] == [0, 1]
    with pytest.raises(ValueError, match="2"):
        await anext(steps)


async def test_a_reader_that_leaves_ends_the_step_under_way() -> None:
    counting = Counting(hangs_at=0)

    async def read() -> None:
        async with aclosing(one_ahead(counting.steps())) as steps:
            await anext(steps)

    task = asyncio.create_task(read())
    await until(lambda: counting.begun == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert counting.closed
