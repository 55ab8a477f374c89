"""What Ray's gRPC proxies are told of the contract: `grpc_servicer_functions` in config.yaml."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from nexttoken.v1 import next_token_pb2_grpc as pb_grpc

Stream = Callable[[Any, Any], AsyncGenerator[Any, None]]


def add_service(servicer: Any, server: Any) -> None:
    """Registers the contract's calls with a proxy, which routes them to replicas."""
    pb_grpc.add_NextTokenServiceServicer_to_server(servicer, Registrar(server))  # type: ignore[no-untyped-call]


class Registrar:
    """Stands for the proxy's server while the generated code registers with it."""

    def __init__(self, server: Any) -> None:
        self._server = server

    def add_generic_rpc_handlers(self, handlers: Sequence[Any]) -> None:
        """Nothing: the same come as registered ones."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        ours = {name: Handler.of(handler) for name, handler in handlers.items()}
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, ours),))  # type: ignore[arg-type]
        self._server.add_registered_method_handlers(service, ours)


@dataclass(frozen=True)
class Handler:
    """A grpc.RpcMethodHandler: it passes on what it can't decode, and its stream ends when its caller leaves."""

    request_streaming: bool
    response_streaming: bool
    request_deserializer: Any
    response_serializer: Any
    unary_unary: Any
    unary_stream: Any
    stream_unary: Any
    stream_stream: Any

    @classmethod
    def of(cls, given: Any) -> "Handler":
        copied = cls(**{name: getattr(given, name) for name in cls.__dataclass_fields__})
        return replace(copied, request_deserializer=decoder(given.request_deserializer))

    def _replace(self, **changes: Any) -> "Handler":
        """With the proxy's own functions, which route calls."""
        return replace(self, **{**changes, "unary_stream": ending(changes["unary_stream"])})


def decoder(decode: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """Gives None instead of raising: the service then refuses the call in its own words."""

    def lenient(body: bytes) -> Any:
        try:
            return decode(body)
        except DecodeError:
            return None

    return lenient


class Context:
    """A call's context that may be used when the call is over; gRPC's own would crash the proxy."""

    def __init__(self, context: Any) -> None:
        self._context = context
        self._peer = context.peer()
        self.over = False

    def peer(self) -> str:
        return str(self._peer)

    def __getattr__(self, name: str) -> Any:
        return nothing if self.over else getattr(self._context, name)


def nothing(*_: object) -> None:
    """Stands for what a context does, when it is too late."""


def ending(stream: Stream) -> Stream:
    """A proxy's stream that cancels the replica's work when it is left between two messages.

    By itself, Ray 2.60 cancels only while it waits for the next one: of short steps, one stream in sixty went on to its
    end.
    """

    async def call(request: Any, context: Any) -> AsyncGenerator[Any, None]:
        ours = Context(context)
        answers = stream(request, ours)
        try:
            async for answer in answers:
                yield answer
        except GeneratorExit:
            ours.over = True
            waiting = asyncio.ensure_future(anext(answers))
            await asyncio.sleep(0)  # now it waits for the next one
            waiting.cancel()
            with suppress(asyncio.CancelledError, StopAsyncIteration):
                await waiting
            raise

    return call
