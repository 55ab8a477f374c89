"""The line to the inference server: how it is secured, shared among servers and renewed. Knows gRPC; makes no calls."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import grpc
import structlog
from grpc_health.v1 import health_pb2_grpc
from nexttoken.v1 import next_token_pb2_grpc as pb_grpc

from service_kit import bearer, tls
from service_kit.files import WatchedFile
from service_kit.settings import SettingsError
from service_kit.targets import stays_here
from web_gateway.about import MAX_ANSWER_BYTES
from web_gateway.inference.resolver import Addresses
from web_gateway.inference.tls_diagnosis import diagnose
from web_gateway.settings import Settings

LOOK_EVERY_S = 1.0  # at the files, for new certificates and tokens
LOOK_UP_EVERY_S = 5.0  # the name, for new servers
DIAGNOSIS_HOLDS_S = 2.0
DIAGNOSIS_WITHIN_S = 1.5
PUBLIC = "public"

OPTIONS = (
    ("grpc.dns_min_time_between_resolutions_ms", 5_000),  # the default of 30 s would hide a new replica for as long
    ("grpc.enable_http_proxy", 0),  # the inference server is a neighbour
    ("grpc.http2.max_pings_without_data", 0),  # no limit: a watch may be quiet for days
    ("grpc.http2.ping_timeout_ms", 4_000),  # of any ping: while one is on its way, none is sent to keep alive
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.keepalive_time_ms", 4_000),  # with the next: a host that vanished is noticed within 10 s
    ("grpc.keepalive_timeout_ms", 4_000),
    ("grpc.max_receive_message_length", MAX_ANSWER_BYTES),
    ("grpc.max_reconnect_backoff_ms", 2_000),  # back soon after the server is
    ("grpc.min_reconnect_backoff_ms", 2_000),  # an attempt's own time limit
)
SEVERAL = ("dns:", "ipv4:", "ipv6:")  # targets that name every address of a kind: each gets its share of the sessions
SESSION_KEY = "x-session"
RETRIES: dict[str, Any] = {  # every call that a user makes is free of side effects
    "methodConfig": [
        {
            "name": [{"service": "nexttoken.v1.NextTokenService"}],
            "retryPolicy": {
                "maxAttempts": 3,
                "initialBackoff": "0.05s",
                "maxBackoff": "0.5s",
                "backoffMultiplier": 3,
                "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],  # a stopping server cancels what it never ran
            },
        }
    ],
    # A budget: a failure takes 1 and a success gives 0.1; no retries while half is gone. What one server may have in
    # flight fits in.
    "retryThrottling": {"maxTokens": 400, "tokenRatio": 0.1},
}
BALANCE: dict[str, Any] = {
    "loadBalancingConfig": [
        {"ring_hash_experimental": {"minRingSize": 1024, "maxRingSize": 4096, "requestHashHeader": SESSION_KEY}}
    ],
    "healthCheckConfig": {"serviceName": ""},  # a server that is loading or stopping gets nothing
}

Certificates = tuple[bytes | None, tls.Identity | None]

logger = structlog.get_logger()


class Connection:
    """One channel, and the calls that are on it."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.calls: Any = pb_grpc.NextTokenServiceStub(channel)  # type: ignore[no-untyped-call]  # generated
        self.health: Any = health_pb2_grpc.HealthStub(channel)
        self.replaced = asyncio.Event()
        self._channel = channel
        self._open = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Keeps the channel open for a call, even where another one takes over meanwhile."""
        self._open += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._open -= 1
            if not self._open:
                self._idle.set()

    async def end(self) -> None:
        """Closes the channel once its calls are over; a call without an end is to look at `replaced`."""
        self.replaced.set()
        await self._idle.wait()
        await self.close()

    async def close(self) -> None:
        """Closes the channel, and cancels what is on it."""
        await self._channel.close(None)


class Link:
    """The line in use: another whenever certificates or addresses change, without losing a call on the one before."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._addresses = Addresses(settings.inference_target)
        self._certificates = certificates(settings)
        self._secrets = bearer.read(settings.auth_token, settings.auth_token_file)
        self._ending: dict[asyncio.Task[None], Connection] = {}
        self._diagnosis: asyncio.Task[str | None] | None = None
        self._diagnosed = 0.0
        self.line = self._new_line()

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """What each call shows to be let in."""
        return (bearer.shown(self._secrets.value),) if self._secrets else ()

    async def fault(self) -> str | None:
        """What is wrong with the connection's security, in words; None where nothing is seen to be."""
        if self._diagnosis is None or (
            self._diagnosis.done() and time.monotonic() - self._diagnosed > DIAGNOSIS_HOLDS_S
        ):
            self._diagnosis = asyncio.create_task(self._diagnose())
        diagnosis = self._diagnosis  # another may take its place meanwhile
        done, _ = await asyncio.wait((diagnosis,), timeout=DIAGNOSIS_WITHIN_S)
        return diagnosis.result() if done else None

    async def keep_fresh(self) -> None:
        """Looks at the files again and again."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self.renew()

    async def keep_found(self) -> None:
        """Looks the servers' name up again and again."""
        while True:
            if await self._addresses.look():
                self._replace()
            await asyncio.sleep(LOOK_UP_EVERY_S)

    def renew(self) -> None:
        """Takes changed tokens and certificates into use."""
        if self._secrets:
            self._secrets.renewed()
        if self._certificates and self._certificates.renewed():
            self._replace()

    async def close(self) -> None:
        """Closes every line."""
        ending = dict(self._ending)
        for task in (*ending, *((self._diagnosis,) if self._diagnosis else ())):
            task.cancel()
        for line in (self.line, *ending.values()):
            await line.close()

    def _replace(self) -> None:
        former, self.line = self.line, self._new_line()
        ending = asyncio.create_task(former.end())
        self._ending[ending] = former
        ending.add_done_callback(self._ending.pop)

    async def _diagnose(self) -> str | None:
        try:
            return await asyncio.to_thread(diagnose, self._settings)
        except Exception:
            logger.exception("the search for the cause failed")
            return None
        finally:
            self._diagnosed = time.monotonic()

    def _new_line(self) -> Connection:
        target = self._addresses.target
        chosen = options(self._settings, self._addresses)
        if self._certificates is None:
            return Connection(grpc.aio.insecure_channel(target, chosen))
        authorities, identity = self._certificates.value
        pair = (identity.key, identity.certificate) if identity else (None, None)
        return Connection(grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(authorities, *pair), chosen))


def options(settings: Settings, addresses: Addresses) -> list[tuple[str, Any]]:
    """The channel's options. A server behind a name has that name, whatever its address."""
    several = settings.inference_target.startswith(SEVERAL)
    chosen: list[tuple[str, Any]] = list(OPTIONS)
    chosen.append(("grpc.service_config", json.dumps(RETRIES | (BALANCE if several else {}))))
    if addresses.authority:
        chosen.append(("grpc.default_authority", addresses.authority))
    if server_name := settings.tls_server_name or addresses.host:
        chosen.append(("grpc.ssl_target_name_override", server_name))
    return chosen


def certificates(settings: Settings) -> WatchedFile[Certificates] | None:
    """The authorities to trust (None: those gRPC knows) and what to show, kept fresh; None: plaintext.

    Raises SettingsError where files don't fit, or where plaintext would leave this machine and nobody said it may.
    """
    ca, cert, key = settings.tls_ca, settings.tls_client_cert, settings.tls_client_key
    if bool(cert) != bool(key):
        raise SettingsError(
            "NEXTTOKEN_TLS_CLIENT_CERT and NEXTTOKEN_TLS_CLIENT_KEY go together; one of them is not set"
        )
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
            "NEXTTOKEN_TLS_CA is not set, and without it nothing is encrypted: name the authorities of the inference"
            " server's certificate, or `public`"
        )
    if not settings.allow_plaintext and not stays_here(settings.inference_target):
        raise SettingsError(
            f"NEXTTOKEN_INFERENCE_TARGET={settings.inference_target!r} is on other machines, and nothing encrypts what"
            " goes there: set NEXTTOKEN_TLS_CA, or NEXTTOKEN_ALLOW_PLAINTEXT=1 on a network that nobody else is on"
        )
    return None


def check(settings: Settings) -> None:
    """Reads whatever files the settings name; raises SettingsError where one does not fit."""
    certificates(settings)
    bearer.read(settings.auth_token, settings.auth_token_file)


@asynccontextmanager
async def linked(settings: Settings) -> AsyncIterator[Link]:
    """A link whose channel opens at the first call and whenever a server returns. Raises SettingsError."""
    link = Link(settings)
    looking = [asyncio.create_task(each) for each in (link.keep_fresh(), link.keep_found())]
    try:
        yield link
    finally:
        for task in looking:
            task.cancel()
        await link.close()
