"""Interceptors for every call: admission and message decoding."""

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health

from inference_server.api.calls import REQUEST_ID_KEY, STATUS, refuse
from inference_server.errors import Overloaded
from service_kit import logs

MAX_CALLS = 4_096  # open calls of 32 connections, about 25 kB each
PROBES = f"/{health.SERVICE_NAME}/Check"  # always admitted: a server that rejects its probes would be restarted
RETRY_AFTER_S = 1.0
AT_CAPACITY = "server at capacity (too many open calls); retry later"


class LenientDecoder(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # generic in the stubs alone
    """Passes undecodable messages to the service as None; gRPC would answer UNKNOWN and leak internals."""

    def __init__(self, service: str) -> None:
        self._methods = f"/{service}/"

    async def intercept_service(self, continuation: Any, call: grpc.HandlerCallDetails) -> Any:
        handler = await continuation(call)
        if handler is None or not call.method.startswith(self._methods):
            return handler

        def decode(body: bytes) -> Any:
            try:
                return handler.request_deserializer(body)
            except DecodeError:
                return None

        return handler._replace(request_deserializer=decode)


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


async def reject(_: Any, context: Any) -> None:
    """Rejects a call of any kind."""
    given = dict(context.invocation_metadata() or ()).get(REQUEST_ID_KEY)
    echo = ((REQUEST_ID_KEY, logs.request_id(given if isinstance(given, str) else None)),)
    await refuse(context, STATUS[Overloaded], Overloaded(AT_CAPACITY, RETRY_AFTER_S), echo)
