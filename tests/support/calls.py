"""Calls that fail, read in full; and a worker thread that is kept busy for as long as a test needs it."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from servers import PATIENCE_S
from workers import FakeExecutor

from inference_server.scheduler.scheduler import Scheduler


async def failure(call: Awaitable[Any]) -> grpc.aio.AioRpcError:
    """The error that a call ends with."""
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return failed.value


def detail(error: Any, kind: Any) -> Any:
    """The error's one detail, of that kind."""
    status = rpc_status.from_call(error)
    assert status is not None
    found = kind()
    assert [detail.Unpack(found) for detail in status.details] == [True]
    return found


def bad_field(error: Any) -> str:
    """The field that the error blames."""
    (violation,) = detail(error, error_details_pb2.BadRequest).field_violations
    return str(violation.field)


def trailers(metadata: Any) -> dict[str, Any]:
    """Trailing metadata by key."""
    return {key: value for key, value in metadata}  # noqa: C416  # it is no mapping


async def until(holds: Callable[[], bool]) -> None:
    """Waits for something that no event tells of."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def until_health(channel: grpc.aio.Channel, status: int) -> Any:
    """Watches a server's overall health up to a status; the watch, to be read on or cancelled."""
    watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=PATIENCE_S)
    while (await watch.read()).status != status:
        pass
    return watch


@contextlib.asynccontextmanager
async def busy(scheduler: Scheduler, work: Callable[[], Any] = lambda: None) -> AsyncIterator[None]:
    """Keeps a server's worker thread doing some work again and again; it takes one permit."""
    begun, free = threading.Event(), threading.Event()

    def compute(prompts: list[Any]) -> list[bool]:
        begun.set()
        while not free.wait(0.01):
            work()
        return [True]

    with scheduler.admit() as permit:
        held = asyncio.create_task(scheduler.run(FakeExecutor("busy", compute).sequence(0, permit)))
        try:
            await until(begun.is_set)
            yield
        finally:
            free.set()
            await held
