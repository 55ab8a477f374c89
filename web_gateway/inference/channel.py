"""The gRPC channel to the inference server: TLS, tokens, and replacing it when certificates or addresses change."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import grpc
import structlog
from nexttoken.v1 import next_token_pb2_grpc as pb_grpc

from service_kit import bearer, tls
from service_kit.files import WatchedFile
from service_kit.settings import SettingsError
from service_kit.targets import stays_here
from web_gateway.inference.channel_options import options
from web_gateway.inference.health import Health, RayHealth
from web_gateway.inference.resolver import Addresses
from web_gateway.inference.tls_diagnosis import diagnose
from web_gateway.settings import Settings

FILE_CHECK_INTERVAL_S = 1.0  # certificates and tokens
RESOLVE_INTERVAL_S = 5.0
DIAGNOSIS_TTL_S = 2.0
DIAGNOSIS_TIMEOUT_S = 1.5
PUBLIC = "public"

Certificates = tuple[bytes | None, tls.Identity | None]

logger = structlog.get_logger()


class Connection:
    """One channel with its stubs. Closes gracefully once its calls have finished."""

    def __init__(self, channel: grpc.aio.Channel, ray_application: str) -> None:
        self.stub: Any = pb_grpc.NextTokenServiceStub(channel)  # type: ignore[no-untyped-call]  # generated
        self.health = RayHealth(channel, ray_application) if ray_application else Health(channel)
        self.replaced = asyncio.Event()
        self._channel = channel
        self._in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @contextmanager
    def call(self) -> Iterator[None]:
        """Keeps the channel open during a call, even if it is replaced meanwhile."""
        self._in_flight += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._in_flight -= 1
            if not self._in_flight:
                self._idle.set()

    async def drain(self) -> None:
        """Closes the channel once its calls have finished. Endless calls must stop when `replaced` is set."""
        self.replaced.set()
        await self._idle.wait()
        await self.close()

    async def close(self) -> None:
        """Closes the channel and cancels its calls."""
        await self._channel.close(None)


class Link:
    """Holds the current connection and replaces it when certificates or addresses change. No call is lost."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.ray_application = settings.ray_application
        self._addresses = Addresses(settings.inference_target)
        self._certificates = certificates(settings)
        self._secrets = bearer.read(settings.auth_token, settings.auth_token_file)
        self._draining: dict[asyncio.Task[None], Connection] = {}
        self._diagnosis: asyncio.Task[str | None] | None = None
        self._diagnosed_at = 0.0
        self.connection = self._connect()

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """The credentials to send with each call."""
        return (bearer.shown(self._secrets.value),) if self._secrets else ()

    async def fault(self) -> str | None:
        """Why TLS fails, as a message for the user; None if no cause was found."""
        if self._diagnosis is None or (
            self._diagnosis.done() and time.monotonic() - self._diagnosed_at > DIAGNOSIS_TTL_S
        ):
            self._diagnosis = asyncio.create_task(self._diagnose())
        diagnosis = self._diagnosis  # another call may replace it during the wait
        done, _ = await asyncio.wait((diagnosis,), timeout=DIAGNOSIS_TIMEOUT_S)
        return diagnosis.result() if done else None

    async def watch_files(self) -> None:
        """Polls the certificate and token files."""
        while True:
            await asyncio.sleep(FILE_CHECK_INTERVAL_S)
            self.renew()

    async def watch_addresses(self) -> None:
        """Polls DNS."""
        while True:
            if await self._addresses.look():
                self._replace()
            await asyncio.sleep(RESOLVE_INTERVAL_S)

    def renew(self) -> None:
        """Picks up changed tokens and certificates."""
        if self._secrets:
            self._secrets.renewed()
        if self._certificates and self._certificates.renewed():
            self._replace()

    async def close(self) -> None:
        """Closes every connection."""
        draining = dict(self._draining)
        for task in (*draining, *((self._diagnosis,) if self._diagnosis else ())):
            task.cancel()
        for connection in (self.connection, *draining.values()):
            await connection.close()

    def _replace(self) -> None:
        previous, self.connection = self.connection, self._connect()
        task = asyncio.create_task(previous.drain())
        self._draining[task] = previous
        task.add_done_callback(self._draining.pop)

    async def _diagnose(self) -> str | None:
        try:
            return await asyncio.to_thread(diagnose, self._settings)
        except Exception:
            logger.exception("TLS diagnosis failed")
            return None
        finally:
            self._diagnosed_at = time.monotonic()

    def _connect(self) -> Connection:
        target = self._addresses.target
        chosen = options(self._settings, self._addresses)
        if self._certificates is None:
            return Connection(grpc.aio.insecure_channel(target, chosen), self.ray_application)
        authorities, identity = self._certificates.value
        pair = (identity.key, identity.certificate) if identity else (None, None)
        credentials = grpc.ssl_channel_credentials(authorities, *pair)
        return Connection(grpc.aio.secure_channel(target, credentials, chosen), self.ray_application)


def certificates(settings: Settings) -> WatchedFile[Certificates] | None:
    """The CA certificates to trust (None: gRPC's own) and the client certificate, reloaded on change.

    None means plaintext. Raises SettingsError if the settings contradict each other, or if plaintext would leave this
    machine without NEXTTOKEN_ALLOW_PLAINTEXT.
    """
    ca, cert, key = settings.tls_ca, settings.tls_client_cert, settings.tls_client_key
    if bool(cert) != bool(key):
        raise SettingsError("NEXTTOKEN_TLS_CLIENT_CERT and NEXTTOKEN_TLS_CLIENT_KEY must be set together")
    if ca:
        return WatchedFile(
            [path for path in (ca, cert, key) if path and path != PUBLIC],
            lambda: (
                None if ca == PUBLIC else tls.read_certificates("tls_ca", ca),
                tls.read_identity(("tls_client_cert", cert), ("tls_client_key", key)) if cert else None,
            ),
        )
    if cert or settings.tls_server_name:
        raise SettingsError(
            "NEXTTOKEN_TLS_CA is not set, so TLS is off: set it to the PEM file of the CA that signed the inference"
            " server's certificate, or to `public`"
        )
    if not settings.allow_plaintext and not stays_here(settings.inference_target):
        raise SettingsError(
            f"NEXTTOKEN_INFERENCE_TARGET={settings.inference_target!r} is on another machine and TLS is off: set"
            " NEXTTOKEN_TLS_CA, or NEXTTOKEN_ALLOW_PLAINTEXT=1 if the network is private"
        )
    return None


def check(settings: Settings) -> None:
    """Reads every file the settings name. Raises SettingsError if one is missing or invalid."""
    certificates(settings)
    bearer.read(settings.auth_token, settings.auth_token_file)


@asynccontextmanager
async def open_link(settings: Settings) -> AsyncIterator[Link]:
    """A link that watches files and addresses while open. Connects on the first call. Raises SettingsError."""
    link = Link(settings)
    watchers = [asyncio.create_task(each) for each in (link.watch_files(), link.watch_addresses())]
    try:
        yield link
    finally:
        for task in watchers:
            task.cancel()
        await link.close()
