"""Finds out why TLS fails by making a handshake of its own: gRPC only reports that the connection failed.

The messages are shown to users; addresses and library errors go to the log only.
"""

import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice

import structlog

from service_kit import tls
from service_kit.targets import addresses
from web_gateway.settings import Settings

TIMEOUT_S = 1.0  # per address
MAX_ADDRESSES = 4

TLS_REQUIRED = "The inference server requires TLS; set NEXTTOKEN_TLS_CA for this gateway."
TLS_MISSING = "The inference server does not use TLS, which this gateway requires."
UNTRUSTED = "its certificate was not issued by a CA in NEXTTOKEN_TLS_CA."
WRONG_NAME = "its certificate is for another name; set NEXTTOKEN_TLS_SERVER_NAME if that name is expected."
FAULTS = {
    9: "its certificate is not valid yet.",
    10: "its certificate has expired.",
    **dict.fromkeys((18, 19, 20, 21), UNTRUSTED),
    **dict.fromkeys((62, 64), WRONG_NAME),
}
UNVERIFIED = "Can't verify the inference server: "
NO_CLIENT_CERT = "The inference server requires a client certificate; set NEXTTOKEN_TLS_CLIENT_CERT."
CLIENT_CERT_EXPIRED = "This gateway's certificate in NEXTTOKEN_TLS_CLIENT_CERT has expired."
CLIENT_CERT_REJECTED = "The inference server does not trust this gateway's certificate in NEXTTOKEN_TLS_CLIENT_CERT."

logger = structlog.get_logger()


def diagnose(settings: Settings) -> str | None:
    """What is wrong with TLS, or None. Blocks for up to TIMEOUT_S per address."""
    for host, address, port in islice(resolve(settings.inference_target), MAX_ADDRESSES):
        try:
            fault = handshake(settings, host, address, port)
        except OSError as error:
            logger.debug("TLS handshake failed", host=host, address=address, port=port, error=str(error))
            continue
        if fault:
            logger.error("TLS diagnosis", host=host, address=address, port=port, reason=fault)
            return fault
    return None


def resolve(target: str) -> Iterator[tuple[str, str, int]]:
    """(host, address, port) for each address of the hosts in a target."""
    for host, port in addresses(target):
        try:
            answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            logger.debug("host not resolved", host=host, error=str(error))
            continue
        for *_, address in answers:
            yield host, str(address[0]), port


def handshake(settings: Settings, host: str, address: str, port: int) -> str | None:
    """Does the TLS handshake as gRPC would; returns the fault, or None. Raises OSError if nothing answers."""
    context = ssl.create_default_context()
    if not settings.tls_ca:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif settings.tls_ca != "public":
        context = ssl.create_default_context(cafile=settings.tls_ca)
    if settings.tls_client_cert:
        context.load_cert_chain(settings.tls_client_cert, settings.tls_client_key, password="")
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # Python 3.13 is stricter than gRPC
    context.set_alpn_protocols(["h2"])
    with socket.create_connection((address, port), TIMEOUT_S) as connection:
        try:
            with context.wrap_socket(connection, server_hostname=settings.tls_server_name or host) as encrypted:
                if not settings.tls_ca:
                    return TLS_REQUIRED
                return None if encrypted.recv(1) else rejected(settings)  # a gRPC server sends first
        except ssl.SSLCertVerificationError as error:
            return UNVERIFIED + FAULTS.get(error.verify_code, f"{error.verify_message}.")
        except ssl.SSLEOFError:
            return rejected(settings) if settings.tls_ca else None
        except ssl.SSLError as error:
            logger.debug("TLS error", host=host, port=port, error=str(error))
            return TLS_MISSING if settings.tls_ca and error.reason == "WRONG_VERSION_NUMBER" else None


def rejected(settings: Settings) -> str:
    """Why a server closes right after the handshake: it did not accept the client certificate."""
    if not settings.tls_client_cert:
        return NO_CLIENT_CERT
    identity = tls.read_certificates("tls_client_cert", settings.tls_client_cert)
    return CLIENT_CERT_EXPIRED if tls.expiry(identity) <= datetime.now(UTC) else CLIENT_CERT_REJECTED
