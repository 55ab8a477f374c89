"""What every call passes on its way in: admission and message decoding, then its turn to begin."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health

from inference_server.api.calls import REQUEST_ID_KEY, STATUS, refuse
from inference_server.errors import Overloaded
from service_kit import logs

MAX_CALLS = 4_096  # open calls of 51 connections, about 25 kB each
PROBES = f"/{health.SERVICE_NAME}/Check"  # always admitted: a server that rejects its probes would be restarted
RETRY_AFTER_S = 1.0

BEGIN_SHARE = 0.1  # of the event loop's time: what the calls of one address may take to begin while others call
BEGIN_BURST_S = 0.002  # of it at once
BEGIN_MOST_S = 0.0005  # counted for one call: the loop may have done others' work as well
SHARED_S = 1.0  # how long others are expected to call again
MOST_HELD = 256  # calls of one address that wait to begin; more are refused
LANES = 256  # addresses from which on those at rest are forgotten

AT_CAPACITY = "server at capacity (too many open calls); retry later"


class LenientDecoder(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # generic in the stubs alone
    """Passes undecodable messages to the service as None; gRPC would answer UNKNOWN and leak internals.

    The last interceptor, since those behind it would see each method once.
    """

    def __init__(self, service: str) -> None:
        self._methods = f"/{service}/"
        self._lenient: dict[str, Any] = {}  # handlers by method

    async def intercept_service(self, continuation: Any, call: grpc.HandlerCallDetails) -> Any:
        if (known := self._lenient.get(call.method)) is not None:
            return known
        handler = await continuation(call)
        if handler is None or not call.method.startswith(self._methods):
            return handler

        def decode(body: bytes) -> Any:
            try:
                return handler.request_deserializer(body)
            except DecodeError:
                return None

        lenient = self._lenient[call.method] = handler._replace(request_deserializer=decode)
        return lenient


class CallLimit(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # generic in the stubs alone
    """Limits open calls, counted from their headers on; more are rejected before their message is read."""

    def __init__(self, on_reject: Callable[[], object], max_calls: int = MAX_CALLS) -> None:
        self._on_reject = on_reject
        self._max_calls = max_calls
        self._open = 0

    async def intercept_service(self, continuation: Any, call: grpc.HandlerCallDetails) -> Any:
        if self._open >= self._max_calls and call.method != PROBES:
            self._on_reject()
            return grpc.stream_unary_rpc_method_handler(reject)  # runs without waiting for a message
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - gRPC runs each call in its own task
        self._open += 1
        task.add_done_callback(self._ended)
        return await continuation(call)

    def _ended(self, _: object) -> None:
        self._open -= 1


class Lane:
    """The calls of one address, in order of arrival."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._credit_s = BEGIN_BURST_S
        self._at = time.monotonic()
        self._began: float | None = None  # of the latest call, until what it took is counted
        self._waiting = 0

    def resting(self, now: float) -> bool:
        """Whether a new lane would be the same."""
        return not self._waiting and now - self._at > 2 * BEGIN_BURST_S / BEGIN_SHARE

    async def turn(self, held: bool) -> None:
        """Returns when the next call may begin; unless `held`, at once after those before it.

        The time that a call takes until it first waits is taken from the lane's share. Raises Overloaded.
        """
        if self._waiting >= MOST_HELD:
            words = f"this address is at its limit ({self._waiting} calls wait to begin); wait for their answers"
            raise Overloaded(words, RETRY_AFTER_S)
        self._waiting += 1
        try:
            async with self._lock:
                self._count()
                while held and self._credit_s <= 0:
                    await asyncio.sleep(-self._credit_s / BEGIN_SHARE)
                    self._count()
                self._began = time.monotonic()
                asyncio.get_running_loop().call_soon(self._count)
        finally:
            self._waiting -= 1

    def _count(self) -> None:
        now = time.monotonic()
        if self._began is not None:
            self._credit_s -= min(BEGIN_MOST_S, now - self._began)
            self._began = None
        self._credit_s = min(BEGIN_BURST_S, self._credit_s + BEGIN_SHARE * (now - self._at))
        self._at = now


class Intake:
    """Whose call begins next: those of an address that has begun many of late wait, if others call, too.

    gRPC hands calls to the event loop one by one, in order of arrival. Without a wait, every call of a burst is begun,
    most of them to be refused, before the loop learns of the call behind them.
    """

    def __init__(self) -> None:
        self._lanes: dict[str, Lane] = {}
        self._latest: str | None = None
        self._shared_until = 0.0

    def __len__(self) -> int:
        """Addresses that are remembered."""
        return len(self._lanes)

    async def turn(self, address: str) -> None:
        """Returns when a call of that address may begin. Raises Overloaded if too many of it wait."""
        now = time.monotonic()
        if self._latest not in (None, address):
            self._shared_until = now + SHARED_S
        self._latest = address
        if (lane := self._lanes.get(address)) is None:
            if len(self._lanes) >= LANES:
                self._lanes = {name: each for name, each in self._lanes.items() if not each.resting(now)}
            lane = self._lanes[address] = Lane()
        await lane.turn(held=now < self._shared_until)


async def reject(_: Any, context: Any) -> None:
    """Rejects a call of any kind."""
    given = dict(context.invocation_metadata() or ()).get(REQUEST_ID_KEY)
    echo = ((REQUEST_ID_KEY, logs.request_id(given if isinstance(given, str) else None)),)
    await refuse(context, STATUS[Overloaded], Overloaded(AT_CAPACITY, RETRY_AFTER_S), echo)
