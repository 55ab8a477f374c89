"""What every call passes on its way to the service: is there room for it, and is its message one. Knows no models."""

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health

from inference_server.api.service import REQUEST_ID_KEY, STATUS, refuse
from inference_server.errors import Overloaded
from service_kit import logs

MOST_CALLS = 12_288  # more than two connections may hold: watches, and calls whose message has not come, 25 kB each
PROBES = f"/{health.SERVICE_NAME}/Check"  # always let in: a server that refuses its probes would be restarted
RETRY_AFTER_S = 1.0
CROWDED = "more calls are open than this server holds; try again later"


class Decoding(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # generic in the stubs alone
    """Hands bytes that are no message to the service as None; gRPC alone would answer UNKNOWN, with our internals."""

    def __init__(self, service: str) -> None:
        """`service`: whose calls are meant."""
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


class Crowd(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # generic in the stubs alone
    """Bounds the calls that are open, from their headers on. Who comes too many is refused without reading more."""

    def __init__(self, turned_away: Callable[[], object], most: int = MOST_CALLS) -> None:
        """`turned_away` is told of each refusal."""
        self._turned_away = turned_away
        self._most = most
        self._open = 0

    async def intercept_service(self, continuation: Any, call: grpc.HandlerCallDetails) -> Any:
        if self._open >= self._most and call.method != PROBES:
            self._turned_away()
            return grpc.stream_unary_rpc_method_handler(crowded)  # of streams gRPC awaits no first message
        calling = asyncio.current_task()
        assert calling is not None  # noqa: S101 - gRPC runs each call in a task of its own
        self._open += 1
        calling.add_done_callback(self._ended)
        return await continuation(call)

    def _ended(self, _: object) -> None:
        self._open -= 1


async def crowded(_: Any, context: Any) -> None:
    """Refuses a call, whatever kind of call it is."""
    given = dict(context.invocation_metadata() or ()).get(REQUEST_ID_KEY)
    echo = ((REQUEST_ID_KEY, logs.request_id(given if isinstance(given, str) else None)),)
    await refuse(context, STATUS[Overloaded], Overloaded(CROWDED, RETRY_AFTER_S), echo)
