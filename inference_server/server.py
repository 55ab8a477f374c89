"""Assembles the inference server and takes it through start, service and stop."""

import asyncio
import contextlib
import signal
from pathlib import Path
from typing import Any

import grpc
import structlog
from google.protobuf.message import DecodeError
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from nexttoken.v1 import next_token_pb2, next_token_pb2_grpc

from inference_server import errors, memory
from inference_server.gauges import Gauges
from inference_server.memory import divide
from inference_server.prefix_cache import PrefixCache
from inference_server.registry import BUNDLED, Engine, Fetch, Load, ModelState, OnProgress, Registry
from inference_server.scheduler import Scheduler
from inference_server.service import NextTokenService
from inference_server.settings import Settings

SERVICE = next_token_pb2.DESCRIPTOR.services_by_name["NextTokenService"].full_name
HEALTH_NAMES = ("", SERVICE)  # overall, and the one clients with a healthCheckConfig name

REQUEST_ROOM_BYTES = 1 << 20  # of a message beside its text: ids of a long prompt, watched ids, draws
LEAST_REQUEST_BYTES = 4 << 20  # gRPC's own default
MAX_RESPONSE_BYTES = 64 << 20  # a score of 8,192 tokens with 100 alternatives each takes about 45 MB
LAST_WORDS_S = 0.5  # after the grace, for telling those whose request is given up; gRPC alone would say CANCELLED
KEEPALIVE_MS = 60_000  # a watcher that vanished without a word is found and let go
KEEPALIVE_TIMEOUT_MS = 20_000
LEAST_PING_INTERVAL_MS = 10_000  # the default of 5 minutes would cut off clients that ping every 30 s

logger = structlog.get_logger()


class CannotListen(Exception):
    """The server can't have its address; the message says so and what to do."""


class Health(health.aio.HealthServicer):  # type: ignore[name-defined,misc]  # the stubs lack health.aio
    """gRPC's health service, whose watches end when told to: they would hold a stop for all its grace."""

    def __init__(self) -> None:
        super().__init__()
        self._over = asyncio.Event()

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: Any) -> None:
        watch = asyncio.ensure_future(super().Watch(request, context))
        over = asyncio.ensure_future(self._over.wait())
        try:
            await asyncio.wait((watch, over), return_when=asyncio.FIRST_COMPLETED)
        finally:
            watch.cancel()
            over.cancel()

    def end_watches(self) -> None:
        self._over.set()


class Decoding(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # generic in the stubs alone
    """Hands bytes that are no message to the service as None; gRPC alone would answer UNKNOWN, with our internals."""

    async def intercept_service(self, continuation: Any, call: grpc.HandlerCallDetails) -> Any:
        handler = await continuation(call)
        if handler is None or not call.method.startswith(f"/{SERVICE}/"):
            return handler

        def decode(body: bytes) -> Any:
            try:
                return handler.request_deserializer(body)
            except DecodeError:
                return None

        return handler._replace(request_deserializer=decode)


def options(settings: Settings) -> list[tuple[str, int]]:
    """The gRPC server's options."""
    return [
        ("grpc.so_reuseport", 0),  # a second server on the port must fail, not share its calls
        ("grpc.max_receive_message_length", max(LEAST_REQUEST_BYTES, settings.max_text_bytes + REQUEST_ROOM_BYTES)),
        ("grpc.max_send_message_length", MAX_RESPONSE_BYTES),
        ("grpc.keepalive_time_ms", KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", LEAST_PING_INTERVAL_MS),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", LEAST_PING_INTERVAL_MS),
    ]


class InferenceServer:
    """The registry, the scheduler and the calls, on one port.

    The number of calls is bounded by the scheduler's gate alone: gRPC's own limit would refuse health checks too.
    """

    def __init__(self, settings: Settings, registry: Registry, scheduler: Scheduler, kept: PrefixCache[Any]) -> None:
        self.settings = settings
        self.kept = kept
        self.registry = registry
        self.scheduler = scheduler
        self.port = 0
        self._health = Health()
        self._grpc = grpc.aio.server(interceptors=(Decoding(),), options=options(settings))

    async def start(self) -> None:
        """Listens, and starts to load models. Raises CannotListen."""
        next_token_pb2_grpc.add_NextTokenServiceServicer_to_server(NextTokenService(self.registry), self._grpc)  # type: ignore[no-untyped-call]
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._grpc)
        names = (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._grpc)
        for name in HEALTH_NAMES:  # a new servicer says SERVING
            await self._health.set(name, health_pb2.HealthCheckResponse.NOT_SERVING)
        self.port = self._listen()
        await self._grpc.start()
        self.registry.start()
        self._reporting = asyncio.create_task(self._report_health())
        logger.info("listening", host=self.settings.grpc_host, port=self.port)

    async def stop(self) -> None:
        """Says NOT_SERVING, serves on until clients have noticed, then finishes what is in flight."""
        logger.info("stopping", drain_s=self.settings.drain_s, grace_s=self.settings.grace_s)
        await self._health.enter_graceful_shutdown()
        await asyncio.sleep(self.settings.drain_s)
        self.registry.stop()
        self._health.end_watches()
        grace_s = self.settings.grace_s
        await asyncio.gather(self._reporting, self.scheduler.close(grace_s), self._grpc.stop(grace_s + LAST_WORDS_S))

    def gauges(self) -> Gauges:
        """What the server counts of itself, as it is now."""
        return Gauges(self.scheduler.gauges, self.kept.gauges, self.registry.gauges())

    def _listen(self) -> int:
        host = self.settings.grpc_host
        address = f"[{host}]" if ":" in host else host
        with contextlib.suppress(RuntimeError):
            if port := self._grpc.add_insecure_port(f"{address}:{self.settings.grpc_port}"):
                return int(port)
        raise CannotListen(
            f"can't listen on {address}:{self.settings.grpc_port}: another process has the port, or the address is not"
            " this machine's; set NEXTTOKEN_GRPC_PORT or NEXTTOKEN_GRPC_HOST to another"
        )

    async def _report_health(self) -> None:
        """Says SERVING once a model that counts is ready; a model once ready stays so."""
        with contextlib.suppress(errors.Stopping):
            async with contextlib.aclosing(self.registry.watch(interval_s=0)) as changes:
                async for models in changes:
                    ready = [model for model in models if model.state is ModelState.READY]
                    if any(self.settings.ready_when == "any" or model.is_default for model in ready):
                        break
            for name in HEALTH_NAMES:
                await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)


def bring_files(name: str, on_progress: OnProgress) -> Path:
    """A model's folder, fetched where it must be."""
    if name == BUNDLED:
        return Path(__file__).parent / "bundled"
    from inference_server import checkpoint, hub, model  # take a while to import: not before the port answers

    return hub.fetch(name, on_progress, lambda config: model.check_architecture(checkpoint.read_json(config)))


def loading(settings: Settings, scheduler: Scheduler, kept: PrefixCache[Any], stored_by_each: int) -> Load:
    """How folders become engines that share one scheduler and one cache."""

    def load(name: str, folder: Path) -> Engine:
        from inference_server import engine  # imports torch and transformers: not before the port answers

        return engine.load(name, folder, scheduler, kept, stored_by_each, settings)

    return load


def assemble(settings: Settings, fetch: Fetch = bring_files, load: Load | None = None) -> InferenceServer:
    """The server as the settings describe it."""
    client_limit = max(1, int(settings.queue_limit * settings.client_share))
    scheduler = Scheduler(settings.queue_limit, settings.batch_size, settings.batch_tokens, client_limit)
    names = {settings.model, *settings.models, BUNDLED}
    shares = divide(min(settings.cache_mb << 20, (memory.available() or settings.cache_mb << 21) // 2), len(names))
    kept: PrefixCache[Any] = PrefixCache(shares.distributions)
    load = load or loading(settings, scheduler, kept, shares.stored_by_each)
    registry = Registry(settings.model, settings.models, fetch, load)
    return InferenceServer(settings, registry, scheduler, kept)


async def serve(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT, then stops. Raises CannotListen."""
    server = assemble(settings)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await server.start()
    await stopped.wait()
    await server.stop()
