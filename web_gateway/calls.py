"""Waiting for gRPC's calls, so that whoever stops waiting leaves nothing behind. Knows no call of the contract."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
from grpc.aio import _call as aio_call


async def answer_of(call: Any) -> Any:
    """The answer of a call; cancelled, it cancels the call.

    And not its task, as `call.cancel()` would: gRPC then never frees what it sent, a kilobyte each time
    (https://github.com/grpc/grpc/issues/43360, in 1.85).
    """
    try:
        await call.code()
    except asyncio.CancelledError:
        aio_call.Call.cancel(call)
        raise
    return await call


async def until(over: asyncio.Event, stream: Any) -> AsyncIterator[Any]:
    """The stream's messages, up to its end or until something is over; then the stream is cancelled."""
    ending = asyncio.ensure_future(over.wait())
    try:
        while True:
            reading = asyncio.ensure_future(stream.read())
            try:
                await asyncio.wait((reading, ending), return_when=asyncio.FIRST_COMPLETED)
                if not reading.done():
                    return
            finally:
                if not reading.done():
                    reading.cancel()
            message = reading.result()
            if message is grpc.aio.EOF:  # type: ignore[attr-defined]  # the stubs lack it
                return
            yield message
    finally:
        ending.cancel()
        stream.cancel()
