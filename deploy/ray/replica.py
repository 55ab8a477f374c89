"""One replica: the inference server without its own port. Ray's proxies pass it the calls of the contract."""

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any

import structlog
from nexttoken.v1 import next_token_pb2 as pb
from ray import serve

from deploy.ray.call import Call, Refused, Status, checked
from deploy.ray.metrics import publish
from inference_server.host import openmp
from inference_server.models.model_status import ModelState
from inference_server.server import InferenceServer, assemble
from inference_server.settings import Settings
from service_kit import bearer, logs, settings, tracing

LOOK_S = 0.1  # while models load
WATCH_S = 10.0  # a replica that is to end waits for its calls; a watch is asked for again
OF_A_PORT = ("grpc_host", "tls_cert", "tls_key", "tls_client_ca")  # which a replica doesn't open

Unary = Callable[[Any, Any, Any], Awaitable[Any]]
Stream = Callable[[Any, Any, Any], AsyncGenerator[Any, None]]

logger = structlog.get_logger()


class NoModel(Exception):
    """No model that counts could be loaded; the message says why."""


def chosen(given: Mapping[str, str], environment: Mapping[str, str]) -> Settings:
    """The settings of an application's arguments and of the environment. Raises SettingsError."""
    unknown = sorted(given.keys() - set(Settings.__struct_fields__))
    if unknown:
        raise settings.SettingsError(f"{', '.join(unknown)}: no such setting; see the README's table")
    return settings.read(
        Settings,
        {
            **environment,
            **{settings.variable(name): text for name, text in given.items()},
            **dict.fromkeys(map(settings.variable, OF_A_PORT), ""),
        },
    )


def unary(rpc: str) -> Unary:
    """A call with one answer."""

    async def call(self: "Replica", request: Any, grpc_context: Any) -> Any:
        return await self.answer(rpc, request, grpc_context)

    return call


def stream(rpc: str) -> Stream:
    """A call with a stream of answers."""

    async def call(self: "Replica", request: Any, grpc_context: Any) -> AsyncGenerator[Any, None]:
        async with aclosing(self.answers(rpc, request, grpc_context)) as answers:
            async for answer in answers:
                yield answer

    return call


class Replica:
    """Takes calls once a model that counts is ready; Ray starts another one when this one is stuck."""

    async def __init__(self, given: Mapping[str, str]) -> None:  # type: ignore[misc]  # Ray awaits it
        """Raises SettingsError and NoModel, which `serve status` shows."""
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        openmp.prepare(os.environ)
        wanted = chosen(given, os.environ)
        logs.configure("inference", "json" if wanted.log_format == "auto" else wanted.log_format, wanted.log_level)
        own = serve.get_replica_context()
        self._names = {"service": "inference", "application": own.app_name, "replica": own.replica_tag}
        structlog.contextvars.bind_contextvars(**self._names)
        if tracing.start("inference_server", os.environ):
            logger.info("tracing")
        self._secrets = bearer.read(wanted.auth_token, wanted.auth_token_file)
        self._server: InferenceServer = assemble(wanted)
        self._service = self._server.service()
        self._server.registry.start()
        self._publishing = asyncio.create_task(publish(self._server.metrics))
        await self._ready()

    async def WatchModels(self, request: Any, grpc_context: Any) -> AsyncGenerator[Any, None]:
        """The models for a while: as long as anyone watches, Ray would not let this replica end."""
        async with aclosing(self.answers("WatchModels", request, grpc_context)) as changes:
            ends = asyncio.get_running_loop().time() + WATCH_S
            while True:
                try:
                    async with asyncio.timeout_at(ends):
                        change = await anext(changes)
                except (TimeoutError, StopAsyncIteration):
                    return
                yield change

    async def answer(self, rpc: str, request: Any, grpc_context: Any) -> Any:
        """The service's answer; for a refused call, a message that nobody gets."""
        call = self._call(grpc_context)
        try:
            await checked(call, self._secrets, self._server.metrics)
            return await getattr(self._service, rpc)(request, call)
        except Refused:
            return pb.InfoResponse()

    async def answers(self, rpc: str, request: Any, grpc_context: Any) -> AsyncGenerator[Any, None]:
        """The service's answers, then the status if the call is refused."""
        call = self._call(grpc_context)
        try:
            await checked(call, self._secrets, self._server.metrics)
            async with aclosing(getattr(self._service, rpc)(request, call)) as answers:
                async for answer in answers:
                    yield answer
        except Refused:
            yield Status(grpc_context)

    async def check_health(self) -> None:
        """Ray replaces a replica whose model thread is stuck."""
        if fault := self._server.readiness.stalled():
            raise RuntimeError(fault)

    async def __del__(self) -> None:
        """Ray asks for this when the calls are over."""
        self._publishing.cancel()
        self._server.registry.stop()
        await self._server.scheduler.close(self._server.settings.grace_s)
        await asyncio.to_thread(tracing.stop)

    def _call(self, grpc_context: Any) -> Call:
        structlog.contextvars.bind_contextvars(**self._names)  # each call is a task of its own
        return Call(grpc_context)

    async def _ready(self) -> None:
        """Waits until the models that count are ready. Raises NoModel if none will be."""
        readiness = self._server.readiness
        while fault := readiness.not_started():
            default = next(model for model in self._server.registry.models() if model.is_default)
            counts = [default] if self._server.settings.ready_when == "default" else self._server.registry.models()
            if all(model.state is ModelState.FAILED for model in counts):
                raise NoModel(fault)
            await asyncio.sleep(LOOK_S)


for method in pb.DESCRIPTOR.services_by_name["NextTokenService"].methods:
    if not hasattr(Replica, method.name):
        setattr(Replica, method.name, (stream if method.server_streaming else unary)(method.name))
