"""Who may call, and how it is kept from others: certificates and the caller's token. Knows no models and no calls."""

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

OPEN = (f"/{health.SERVICE_NAME}/",)  # probes and balancers ask for health and hold no secret
MISSING = "this server wants a token: send the metadata authorization: Bearer TOKEN"
WRONG = "the token is not one this server accepts"

Certificates = tuple[tls.Identity, bytes | None]

logger = structlog.get_logger()


def certificates(settings: Settings) -> WatchedFile[Certificates] | None:
    """The server's identity and the authorities its callers must come from, kept fresh; None: plaintext.

    Raises SettingsError where files don't fit, or where plaintext would leave this machine and nobody said it may.
    """
    if settings.tls_cert or settings.tls_key:
        cert, key, client_ca = settings.tls_cert, settings.tls_key, settings.tls_client_ca
        if not (cert and key):
            raise SettingsError("NEXTTOKEN_TLS_CERT and NEXTTOKEN_TLS_KEY go together; one of them is not set")
        kept = WatchedFile(
            [path for path in (cert, key, client_ca) if path],
            lambda: (
                tls.read_identity(("tls_cert", cert), ("tls_key", key)),
                tls.read_certificates("tls_client_ca", client_ca) if client_ca else None,
            ),
        )
        announce(kept)
        return kept
    if settings.tls_client_ca:
        raise SettingsError("NEXTTOKEN_TLS_CLIENT_CA needs NEXTTOKEN_TLS_CERT and NEXTTOKEN_TLS_KEY beside it")
    if not is_loopback(settings.grpc_host) and not settings.allow_plaintext:
        raise SettingsError(
            f"NEXTTOKEN_GRPC_HOST={settings.grpc_host!r} can be reached from other machines, and nothing encrypts what"
            " they send: set NEXTTOKEN_TLS_CERT and NEXTTOKEN_TLS_KEY, or NEXTTOKEN_ALLOW_PLAINTEXT=1 on a network that"
            " nobody else is on"
        )
    return None


def believes_callers(settings: Settings) -> bool:
    """Whether a caller is believed when it names the address of whom it asks for, as a gateway does.

    Not where anybody may call: over TLS that asks for neither a certificate nor a token. Plaintext stays on this
    machine, or on a network that nobody else is on.
    """
    asked = settings.tls_client_ca or settings.auth_token or settings.auth_token_file
    return bool(asked) or not settings.tls_cert


def announce(kept: WatchedFile[Certificates]) -> None:
    """Says in the log which certificate is shown from now on, and whether it still holds."""
    identity, authorities = kept.value
    log = logger.info if identity.expires > datetime.now(UTC) else logger.error
    log("certificate", expires=identity.expires.isoformat(), callers_need_one=authorities is not None)


def credentials(kept: WatchedFile[Certificates]) -> grpc.ServerCredentials:
    """The certificates as gRPC shows them: each new connection gets those of its moment."""

    def configuration() -> grpc.ServerCertificateConfiguration:
        identity, authorities = kept.value
        return grpc.ssl_server_certificate_configuration([(identity.key, identity.certificate)], authorities)

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        if not kept.renewed():
            return None
        announce(kept)
        return configuration()

    required = kept.value[1] is not None
    return grpc.dynamic_ssl_server_credentials(configuration(), fetch, required)  # type: ignore[arg-type]  # None may be


class Authenticator(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # generic in the stubs alone
    """Lets calls pass that show a good token; the rest learn why they don't, before their message is read."""

    def __init__(self, secrets: WatchedFile[bearer.Secrets], refused: Callable[[], object]) -> None:
        """`refused` is told of each refusal."""
        self._secrets = secrets
        self._refused = refused

    async def intercept_service(self, continuation: Any, call: grpc.HandlerCallDetails) -> Any:
        if call.method.startswith(OPEN):
            return await continuation(call)
        offered = dict(call.invocation_metadata or ()).get(bearer.HEADER)
        self._secrets.renewed()
        if offered is not None and bearer.accepts(self._secrets.value, str(offered)):
            return await continuation(call)
        self._refused()
        return refusal(MISSING if offered is None else WRONG)


def refusal(words: str) -> Any:
    """A handler that refuses the call, whatever kind of call it is."""

    async def refuse(_: Any, context: Any) -> None:
        logger.warning("refused", reason=words, peer=context.peer())
        code = StatusCode.UNAUTHENTICATED
        rich = rpc_status.to_status(status_pb2.Status(code=code.value[0], message=words))
        await context.abort(code, words, rich.trailing_metadata)

    return grpc.stream_unary_rpc_method_handler(refuse)  # of streams gRPC awaits no first message
