"""Assembles the inference server and takes it through start, service and stop."""

import asyncio
import contextlib
import signal
from pathlib import Path
from typing import Any

import grpc
import structlog
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from nexttoken.v1 import next_token_pb2, next_token_pb2_grpc

from inference_server.api import auth
from inference_server.api.channel_options import options
from inference_server.api.health import Health
from inference_server.api.info import About
from inference_server.api.interceptors import Crowd, Decoding
from inference_server.api.service import NextTokenService
from inference_server.host import memory
from inference_server.host.memory import Shares, divide
from inference_server.kvcache.logits_cache import LogitsCache
from inference_server.models import bundled
from inference_server.models.registry import Engine, Fetch, Load, OnProgress, Registry
from inference_server.ops.admin_http import AdminServer
from inference_server.ops.metrics import Current, Metrics
from inference_server.ops.readiness import Readiness
from inference_server.scheduler.scheduler import Scheduler
from inference_server.settings import Settings
from inference_server.stats import ServerStats
from service_kit import bearer

SERVICE = next_token_pb2.DESCRIPTOR.services_by_name["NextTokenService"].full_name
READY_NAMES = ("", SERVICE)  # gRPC health: overall, and the one clients with a healthCheckConfig name
LIVE_NAME, STARTED_NAME = "live", "startup"  # for orchestrators that ask these questions over gRPC
LOOK_EVERY_S = 1.0  # at what is ready
STARTING_EVERY_S = 0.05  # until the start is over

LAST_WORDS_S = 0.5  # after the grace, for telling those whose request is given up; gRPC alone would say CANCELLED

logger = structlog.get_logger()


class CannotListen(Exception):
    """The server can't have its address; the message says so and what to do."""


class InferenceServer:
    """The registry, the scheduler and the calls, on one port.

    Calls are bounded by the scheduler's gate, and all that are open by a crowd: gRPC's own limit of calls would refuse
    health checks too, and those that wait for us it would drop without a word. Raises SettingsError where files that
    settings name don't fit.
    """

    def __init__(
        self, settings: Settings, registry: Registry, scheduler: Scheduler, logits_cache: LogitsCache[Any]
    ) -> None:
        self.settings = settings
        self.logits_cache = logits_cache
        self.registry = registry
        self.scheduler = scheduler
        self.port = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self.readiness = Readiness(registry, scheduler.watchdog, settings.ready_when, settings.stall_s)
        self.metrics = Metrics(Current(registry, self.readiness, self.stats))
        self.monitor = AdminServer(self.readiness, self.metrics)
        self._health = Health()
        self._certificates = auth.certificates(settings)
        secrets = bearer.read(settings.auth_token, settings.auth_token_file)
        access = (auth.Authenticator(secrets, self.metrics.unwelcome),) if secrets else ()
        interceptors = (*access, Crowd(self.metrics.turned_away), Decoding(SERVICE))
        self._grpc = grpc.aio.server(interceptors=interceptors, options=options(settings))

    async def start(self) -> None:
        """Listens, and starts to load models. Raises CannotListen."""
        self._loop = asyncio.get_running_loop()
        next_token_pb2_grpc.add_NextTokenServiceServicer_to_server(  # type: ignore[no-untyped-call]
            NextTokenService(
                self.registry,
                self.metrics,
                About(self.settings, self.registry),
                log_text=self.settings.log_text,
                believed=auth.believes_callers(self.settings),
            ),
            self._grpc,
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._grpc)
        names = (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._grpc)
        self._health.say(False, STARTED_NAME, *READY_NAMES)
        self._health.say(True, LIVE_NAME)
        self.port = self._listen()
        self._monitor()
        await self._grpc.start()
        self.registry.start()
        self._reporting = asyncio.create_task(self._report_health())
        encrypted = self._certificates is not None
        logger.info("listening", host=self.settings.grpc_host, port=self.port, tls=encrypted)

    async def stop(self) -> None:
        """Says NOT_SERVING, serves on until clients have noticed, then finishes what is in flight."""
        logger.info("stopping", drain_s=self.settings.drain_s, grace_s=self.settings.grace_s)
        self.readiness.stopping = True
        self._reporting.cancel()
        self._health.say(False, *READY_NAMES)
        await asyncio.sleep(self.settings.drain_s)
        self.registry.stop()
        self._health.end_watches()
        grace_s = self.settings.grace_s
        await asyncio.gather(self.scheduler.close(grace_s), self._grpc.stop(grace_s + LAST_WORDS_S))
        self.monitor.stop()

    def stats(self) -> ServerStats:
        """What the server counts of itself, as it is now; from any thread."""
        tasks = len(asyncio.all_tasks(self._loop)) if self._loop else 0
        return ServerStats(self.scheduler.stats, self.logits_cache.stats, self.registry.stats(), tasks)

    def _listen(self) -> int:
        host = self.settings.grpc_host
        address = f"[{host}]" if ":" in host else host
        at = f"{address}:{self.settings.grpc_port}"
        kept = self._certificates
        with contextlib.suppress(RuntimeError):
            if kept is None:
                port = self._grpc.add_insecure_port(at)
            else:
                port = self._grpc.add_secure_port(at, auth.credentials(kept))
            if port:
                return int(port)
        raise CannotListen(
            f"can't listen on {address}:{self.settings.grpc_port}: another process has the port, or the address is not"
            " this machine's; set NEXTTOKEN_GRPC_PORT or NEXTTOKEN_GRPC_HOST to another"
        )

    def _monitor(self) -> None:
        """Opens the port for metrics and probes, where one is wanted."""
        host, port = self.settings.metrics_host, self.settings.metrics_port
        if port is None:
            return
        try:
            self.monitor.start(host, port)
        except OSError as error:
            raise CannotListen(
                f"can't serve metrics on {host} port {port}: {error.strerror}; set NEXTTOKEN_METRICS_PORT or"
                " NEXTTOKEN_METRICS_HOST to another, or leave the port empty"
            ) from error
        logger.info("monitoring", host=host, port=self.monitor.port)

    async def _report_health(self) -> None:
        """Keeps gRPC's health in step with what holds: once started always so, ready only while models move."""
        started = ready = False
        while True:
            fault = self.readiness.not_ready()
            if ready == bool(fault):
                ready = not ready
                self._health.say(ready, *READY_NAMES)
                if fault:
                    logger.error("not ready", reason=fault)
                elif started:
                    logger.info("ready again")
            if not started and not self.readiness.not_started():
                started = True
                self._health.say(True, STARTED_NAME)
            await asyncio.sleep(min(LOOK_EVERY_S, self.settings.stall_s / 4) if started else STARTING_EVERY_S)


def bring_files(name: str, on_progress: OnProgress) -> Path:
    """A model's folder, fetched where it must be."""
    if name == bundled.NAME:
        return bundled.FOLDER
    from inference_server.models import hub  # take a while to import: not before the port answers
    from inference_server.runtime import architecture

    return hub.fetch(name, on_progress, lambda config: architecture.configuration(config.parent))


def loading(settings: Settings, scheduler: Scheduler, kept: LogitsCache[Any], shares: Shares) -> Load:
    """How folders become engines that share one scheduler and one cache."""

    def load(name: str, folder: Path) -> Engine:
        from inference_server.engine import engine  # imports torch and transformers: not before the port answers

        stored_bytes = shares.stored_by_bundled if name == bundled.NAME else shares.stored_by_each
        return engine.load(name, folder, scheduler, kept, stored_bytes, settings)

    return load


def assemble(settings: Settings, fetch: Fetch = bring_files, load: Load | None = None) -> InferenceServer:
    """The server as the settings describe it."""
    address_limit = max(1, int(settings.queue_limit * settings.client_share))
    session_limit = max(1, int(address_limit * settings.client_share))
    scheduler = Scheduler(settings.queue_limit, settings.batch_size, address_limit, session_limit)
    others = len({settings.model, *settings.models} - {bundled.NAME})
    shares = divide(min(settings.cache_mb << 20, (memory.available() or settings.cache_mb << 21) // 2), others)
    kept: LogitsCache[Any] = LogitsCache(shares.distributions)
    load = load or loading(settings, scheduler, kept, shares)
    registry = Registry(settings.model, settings.models, fetch, load)
    return InferenceServer(settings, registry, scheduler, kept)


async def serve(settings: Settings, fetch: Fetch = bring_files, load: Load | None = None) -> None:
    """Serves until SIGTERM or SIGINT, then stops. Raises CannotListen and SettingsError."""
    server = assemble(settings, fetch, load)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await server.start()
    await stopped.wait()
    await server.stop()
