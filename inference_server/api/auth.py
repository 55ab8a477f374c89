"""Transport security and authentication: TLS certificates and bearer tokens."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import grpc
import structlog
from google.rpc import status_pb2
from grpc import StatusCode
from grpc_health.v1 import health
from grpc_status import rpc_status

from inference_server.settings import Settings
from service_kit import bearer, tls
from service_kit.files import WatchedFile
from service_kit.settings import SettingsError
from service_kit.targets import is_loopback

UNAUTHENTICATED = (f"/{health.SERVICE_NAME}/",)  # probes and load balancers check health without a token
MISSING = "no token: send the metadata authorization: Bearer TOKEN"
WRONG = "invalid token"

Certificates = tuple[tls.Identity, bytes | None]

logger = structlog.get_logger()


def certificates(settings: Settings) -> WatchedFile[Certificates] | None:
    """The server's certificate and the client CAs, reloaded when the files change; None: plaintext.

    Raises SettingsError for unusable files, or for plaintext beyond loopback unless the operator allowed it.
    """
    if settings.tls_cert or settings.tls_key:
        cert, key, client_ca = settings.tls_cert, settings.tls_key, settings.tls_client_ca
        if not (cert and key):
            raise SettingsError("NEXTTOKEN_TLS_CERT and NEXTTOKEN_TLS_KEY must be set together")
        watched = WatchedFile(
            [path for path in (cert, key, client_ca) if path],
            lambda: (
                tls.read_identity(("tls_cert", cert), ("tls_key", key)),
                tls.read_certificates("tls_client_ca", client_ca) if client_ca else None,
            ),
        )
        log_expiry(watched)
        return watched
    if settings.tls_client_ca:
        raise SettingsError("NEXTTOKEN_TLS_CLIENT_CA requires NEXTTOKEN_TLS_CERT and NEXTTOKEN_TLS_KEY")
    if not is_loopback(settings.grpc_host) and not settings.allow_plaintext:
        raise SettingsError(
            f"NEXTTOKEN_GRPC_HOST={settings.grpc_host!r} is not loopback, and TLS is off: set NEXTTOKEN_TLS_CERT and"
            " NEXTTOKEN_TLS_KEY, or NEXTTOKEN_ALLOW_PLAINTEXT=1 on a private network"
        )
    return None


def trusts_callers(settings: Settings) -> bool:
    """Whether to trust the client address that a caller such as the gateway passes on.

    Not over TLS without authentication, where anyone may call. Plaintext is confined to loopback or a private network.
    """
    authenticated = settings.tls_client_ca or settings.auth_token or settings.auth_token_file
    return bool(authenticated) or not settings.tls_cert


def log_expiry(watched: WatchedFile[Certificates]) -> None:
    """Logs the certificate now in use, as an error if it has expired."""
    identity, authorities = watched.value
    log = logger.info if identity.expires > datetime.now(UTC) else logger.error
    log("certificate", expires=identity.expires.isoformat(), callers_need_one=authorities is not None)


def credentials(watched: WatchedFile[Certificates]) -> grpc.ServerCredentials:
    """gRPC credentials that serve each new connection the current certificates."""

    def configuration() -> grpc.ServerCertificateConfiguration:
        identity, authorities = watched.value
        return grpc.ssl_server_certificate_configuration([(identity.key, identity.certificate)], authorities)

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        if not watched.renewed():
            return None
        log_expiry(watched)
        return configuration()

    required = watched.value[1] is not None
    return grpc.dynamic_ssl_server_credentials(configuration(), fetch, required)  # type: ignore[arg-type]  # fetch may return None


class Authenticator(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # generic in the stubs alone
    """Rejects calls without a valid token, before their message is read."""

    def __init__(self, secrets: WatchedFile[bearer.Secrets], on_reject: Callable[[], object]) -> None:
        self._secrets = secrets
        self._on_reject = on_reject

    async def intercept_service(self, continuation: Any, call: grpc.HandlerCallDetails) -> Any:
        if call.method.startswith(UNAUTHENTICATED):
            return await continuation(call)
        header = dict(call.invocation_metadata or ()).get(bearer.HEADER)
        self._secrets.renewed()
        if header is not None and bearer.accepts(self._secrets.value, str(header)):
            return await continuation(call)
        self._on_reject()
        return rejection(MISSING if header is None else WRONG)


def rejection(reason: str) -> Any:
    """A handler that rejects a call of any kind."""

    async def handler(_: Any, context: Any) -> None:
        await reject(reason, context)

    return grpc.stream_unary_rpc_method_handler(handler)  # runs without waiting for a message


async def reject(reason: str, context: Any) -> None:
    """Aborts a call."""
    logger.warning("unauthenticated call", reason=reason, peer=context.peer())
    code = StatusCode.UNAUTHENTICATED
    rich = rpc_status.to_status(status_pb2.Status(code=code.value[0], message=reason))
    await context.abort(code, reason, rich.trailing_metadata)
