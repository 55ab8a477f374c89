"""Streams one step ahead of their reader."""

import asyncio
from collections.abc import AsyncGenerator
from typing import TypeVar

T = TypeVar("T")


async def one_ahead(steps: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """The steps of a stream. While the reader takes one, the next one is computed, and none beyond it.

    Closing it cancels the step under way. An error of a step comes after the steps before it.
    """
    upcoming = asyncio.ensure_future(_next(steps))
    try:
        while (step := await upcoming) is not None:
            upcoming = asyncio.ensure_future(_next(steps))
            yield step
    finally:
        upcoming.cancel()
        await asyncio.wait((upcoming,))
        if not upcoming.cancelled():
            upcoming.exception()  # retrieved: nobody waits for it any more
        await steps.aclose()


async def _next(steps: AsyncGenerator[T, None]) -> T | None:
    return await anext(steps, None)
