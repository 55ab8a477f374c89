"""Waiting for gRPC's calls, so that whoever stops waiting leaves nothing behind. Knows no call of the contract."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
from grpc.aio import _call as aio_call


async def answer_of(call: Any) -> Any:
    """The answer of a call; cancelled, it cancels the call."""
    try:
        await asyncio.wait((call._call_response,))  # a call that could not even be sent never gets a code
    except asyncio.CancelledError:
        give_up(call)
        raise
    return await call


async def until(over: asyncio.Event, stream: Any) -> AsyncIterator[Any]:
    """The stream's messages, up to its end or until something is over; then the stream is cancelled."""
    ending = asyncio.ensure_future(over.wait())
    try:
        while True:
            reading = asyncio.ensure_future(stream.read())
            reading.add_done_callback(let_go)
            await asyncio.wait((reading, ending), return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                return
            message = reading.result()
            if message is grpc.aio.EOF:  # type: ignore[attr-defined]  # the stubs lack it
                return
            yield message
    finally:
        ending.cancel()
        give_up(stream)


def give_up(call: Any) -> None:
    """Cancels a call, and not its tasks, as its own `cancel` would: those end by themselves, and free what they hold.

    gRPC never does where the task is cancelled: a kilobyte for a call, several for a stream
    (https://github.com/grpc/grpc/issues/43360, in 1.85).
    """
    aio_call.Call.cancel(call)


def let_go(task: asyncio.Task[Any]) -> None:
    """Takes note of how a task ended that nobody may wait for any more."""
    if not task.cancelled():
        task.exception()
