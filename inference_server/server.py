"""Assembles, starts and stops the inference server."""

import asyncio
import contextlib
import signal
from functools import cache
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
from inference_server.api.info import ServerInfo
from inference_server.api.interceptors import MAX_CALLS, CallLimit, LenientDecoder
from inference_server.api.service import NextTokenService
from inference_server.host import collector, memory
from inference_server.host.memory import Shares, divide
from inference_server.kvcache.logits_cache import LogitsCache
from inference_server.models import adapter as adapters
from inference_server.models import bundled
from inference_server.models.adapter import AdapterFiles, Files
from inference_server.models.bases import Bases
from inference_server.models.registry import Engine, Fetch, Load, OnProgress, Registry
from inference_server.ops.admin_http import AdminServer
from inference_server.ops.metrics import Metrics, StatsCollector
from inference_server.ops.readiness import Readiness
from inference_server.scheduler.scheduler import Scheduler
from inference_server.settings import Settings
from inference_server.stats import ServerStats
from service_kit import bearer

SERVICE = next_token_pb2.DESCRIPTOR.services_by_name["NextTokenService"].full_name
READY_NAMES = ("", SERVICE)  # gRPC health: overall, and the name in clients' healthCheckConfig
LIVE_NAME, STARTED_NAME = "live", "startup"  # liveness and startup probes over gRPC
HEALTH_INTERVAL_S = 1.0
STARTUP_INTERVAL_S = 0.05  # until the server has started

ABORT_S = 0.5  # after the grace period, to send remaining calls an error; gRPC alone would send CANCELLED

logger = structlog.get_logger()


class CannotListen(Exception):
    """The address can't be bound; the message says what to do."""


class InferenceServer:
    """One gRPC port in front of the registry and the scheduler.

    The scheduler limits requests in flight and CallLimit limits open calls. gRPC's own maximum_concurrent_rpcs would
    also reject health checks. Raises SettingsError for unusable certificate or token files.
    """

    def __init__(self, settings: Settings, registry: Registry, scheduler: Scheduler, cache: LogitsCache[Any]) -> None:
        self.settings = settings
        self.logits_cache = cache
        self.registry = registry
        self.scheduler = scheduler
        self.port = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self.readiness = Readiness(registry, scheduler.watchdog, settings.ready_when, settings.stall_s)
        self.metrics = Metrics(StatsCollector(registry, self.readiness, self.stats))
        self.admin = AdminServer(self.readiness, self.metrics)
        self._health = Health()
        self._certificates = auth.certificates(settings)
        secrets = bearer.read(settings.auth_token, settings.auth_token_file)
        authenticator = (auth.Authenticator(secrets, self.metrics.count_unauthenticated),) if secrets else ()
        limit = CallLimit(self.metrics.count_turned_away, max(MAX_CALLS, 4 * settings.queue_limit))
        interceptors = (*authenticator, limit, LenientDecoder(SERVICE))
        self._grpc = grpc.aio.server(interceptors=interceptors, options=options(settings))

    async def start(self) -> None:
        """Starts listening and loading models. Raises CannotListen."""
        next_token_pb2_grpc.add_NextTokenServiceServicer_to_server(self.service(), self._grpc)  # type: ignore[no-untyped-call]
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._grpc)
        names = (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._grpc)
        self._health.set_serving(False, STARTED_NAME, *READY_NAMES)
        self._health.set_serving(True, LIVE_NAME)
        self.port = self._listen()
        self._start_admin()
        await self._grpc.start()
        self.registry.start()
        self._reporting = asyncio.create_task(self._report_health())
        encrypted = self._certificates is not None
        logger.info("listening", host=self.settings.grpc_host, port=self.port, tls=encrypted)

    def service(self) -> NextTokenService:
        """The calls, to be made on this event loop."""
        self._loop = asyncio.get_running_loop()
        return NextTokenService(
            self.registry,
            self.metrics,
            ServerInfo(self.settings, self.registry),
            log_text=self.settings.log_text,
            trust_callers=auth.trusts_callers(self.settings),
        )

    async def stop(self) -> None:
        """Reports NOT_SERVING, keeps serving for drain_s, then gives requests in flight grace_s to finish."""
        logger.info("stopping", drain_s=self.settings.drain_s, grace_s=self.settings.grace_s)
        self.readiness.stopping = True
        self._reporting.cancel()
        self._health.set_serving(False, *READY_NAMES)
        await asyncio.sleep(self.settings.drain_s)
        self.registry.stop()
        self._health.end_watches()
        grace_s = self.settings.grace_s
        await asyncio.gather(self.scheduler.close(grace_s), self._grpc.stop(grace_s + ABORT_S))
        self.admin.stop()

    def stats(self) -> ServerStats:
        """Thread-safe."""
        tasks = len(asyncio.all_tasks(self._loop)) if self._loop else 0
        return ServerStats(self.scheduler.stats, self.logits_cache.stats, self.registry.stats(), tasks)

    def _listen(self) -> int:
        host = self.settings.grpc_host
        address = f"[{host}]" if ":" in host else host
        at = f"{address}:{self.settings.grpc_port}"
        certificates = self._certificates
        with contextlib.suppress(RuntimeError):
            if certificates is None:
                port = self._grpc.add_insecure_port(at)
            else:
                port = self._grpc.add_secure_port(at, auth.credentials(certificates))
            if port:
                return int(port)
        raise CannotListen(
            f"can't listen on {address}:{self.settings.grpc_port}: the port is in use, or the address is not this"
            " machine's; set NEXTTOKEN_GRPC_PORT or NEXTTOKEN_GRPC_HOST"
        )

    def _start_admin(self) -> None:
        host, port = self.settings.metrics_host, self.settings.metrics_port
        if port is None:
            return
        try:
            self.admin.start(host, port)
        except OSError as error:
            raise CannotListen(
                f"can't serve metrics on {host} port {port}: {error.strerror}; set NEXTTOKEN_METRICS_PORT or"
                " NEXTTOKEN_METRICS_HOST, or leave the port empty to turn metrics off"
            ) from error
        logger.info("serving metrics", host=host, port=self.admin.port)

    async def _report_health(self) -> None:
        """Keeps the gRPC health service up to date."""
        started = ready = False
        while True:
            fault = self.readiness.not_ready()
            if ready == bool(fault):
                ready = not ready
                self._health.set_serving(ready, *READY_NAMES)
                if fault:
                    logger.error("not ready", reason=fault)
                elif started:
                    logger.info("ready again")
            if not started and not self.readiness.not_started():
                started = True
                self._health.set_serving(True, STARTED_NAME)
            interval_s = min(HEALTH_INTERVAL_S, self.settings.stall_s / 4) if started else STARTUP_INTERVAL_S
            await asyncio.sleep(interval_s)


def fetch_model(name: str, on_progress: OnProgress) -> Files:
    """A model's folder, downloaded if necessary, and that of its adapter if it is named `base + adapter`."""
    base, adapter = adapters.parts(name)
    if adapter is None:
        return fetch_base(base, on_progress)
    from inference_server.models import adapter_fetch

    return AdapterFiles(fetch_base(base, on_progress), adapter_fetch.fetch(adapter, on_progress))


def fetch_base(name: str, on_progress: OnProgress) -> Path:
    """The folder of a model without an adapter."""
    if name == bundled.NAME:
        return bundled.FOLDER
    from inference_server.models import hub  # slow to import: only once the port is open
    from inference_server.runtime import architecture

    return hub.fetch(name, on_progress, lambda config: architecture.configuration(config.parent))


@cache
def computing() -> Any:
    """The module that loads and computes models, imported with all that it needs."""
    with collector.importing():
        from inference_server.runtime import exports, meta_kernels

        meta_kernels.import_torch()
        exports.import_transformers()
        from inference_server.runtime import slim_import  # imports transformers

        slim_import.networks()
        from inference_server.engine import engine
    return engine


def loader(settings: Settings, scheduler: Scheduler, cache: LogitsCache[Any], shares: Shares) -> Load:
    """Loads folders into engines that share one scheduler and one logits cache, and weights with those adapted."""
    bases = Bases((settings.model, *settings.models))

    def load(name: str, files: Files) -> Engine:
        engine = computing()
        stored_bytes = shares.stored_by_bundled if name == bundled.NAME else shares.stored_by_each
        loaded: Engine = engine.load(name, files, scheduler, cache, stored_bytes, settings, bases)
        return loaded

    return load


def assemble(settings: Settings, fetch: Fetch = fetch_model, load: Load | None = None) -> InferenceServer:
    """The server for these settings; tests pass their own `fetch` and `load`."""
    address_limit = max(1, int(settings.queue_limit * settings.client_share))
    session_limit = max(1, int(address_limit * settings.client_share))
    scheduler = Scheduler(settings.queue_limit, settings.batch_size, address_limit, session_limit)
    others = len({settings.model, *settings.models} - {bundled.NAME})
    shares = divide(min(settings.cache_mb << 20, (memory.available() or settings.cache_mb << 21) // 2), others)
    cache: LogitsCache[Any] = LogitsCache(shares.distributions)
    load = load or loader(settings, scheduler, cache, shares)
    registry = Registry(settings.model, settings.models, fetch, load)
    return InferenceServer(settings, registry, scheduler, cache)


async def serve(settings: Settings, fetch: Fetch = fetch_model, load: Load | None = None) -> None:
    """Serves until SIGTERM or SIGINT, then stops. Raises CannotListen and SettingsError."""
    server = assemble(settings, fetch, load)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await server.start()
    await stopped.wait()
    await server.stop()
