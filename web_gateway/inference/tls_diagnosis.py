"""Why no connection comes about, in words: a TLS handshake of our own, since gRPC says no more than that it failed.

Knows sockets and ssl; no gRPC. Words are for anyone; addresses and what a library says go to the log alone.
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

WITHIN_S = 1.0  # for each address
MOST_ADDRESSES = 4

PLAIN_HERE = "The inference server wants an encrypted connection; set NEXTTOKEN_TLS_CA for this gateway."
PLAIN_THERE = "The inference server does not encrypt, and this gateway must not talk to one that doesn't."
UNTRUSTED = "its certificate does not come from an authority in NEXTTOKEN_TLS_CA."
NAMELESS = "its certificate is for another name; NEXTTOKEN_TLS_SERVER_NAME can say which to expect."
FAULTS = {
    9: "its certificate does not hold yet.",
    10: "its certificate has expired.",
    **dict.fromkeys((18, 19, 20, 21), UNTRUSTED),
    **dict.fromkeys((62, 64), NAMELESS),
}
THEIRS = "The inference server is not the one this gateway is meant to talk to: "
NONE_SHOWN = "The inference server asks for a certificate, and this gateway has none: set NEXTTOKEN_TLS_CLIENT_CERT."
OURS_EXPIRED = "This gateway's certificate, in NEXTTOKEN_TLS_CLIENT_CERT, has expired."
OURS_REFUSED = "The inference server does not trust this gateway's certificate, in NEXTTOKEN_TLS_CLIENT_CERT."

logger = structlog.get_logger()


def diagnose(settings: Settings) -> str | None:
    """What is wrong with the connection's security, where something is. Blocks for up to some seconds."""
    for host, address, port in islice(found(settings.inference_target), MOST_ADDRESSES):
        try:
            fault = greet(settings, host, address, port)
        except OSError as error:
            logger.debug("no handshake", host=host, address=address, port=port, error=str(error))
            continue
        if fault:
            logger.error("the connection is refused", host=host, address=address, port=port, reason=fault)
            return fault
    return None


def found(target: str) -> Iterator[tuple[str, str, int]]:
    """(host, address, port) of each address behind the hosts that a target names."""
    for host, port in addresses(target):
        try:
            answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            logger.debug("no address", host=host, error=str(error))
            continue
        for *_, address in answers:
            yield host, str(address[0]), port


def greet(settings: Settings, host: str, address: str, port: int) -> str | None:
    """Shakes hands as gRPC does; what speaks against it. Raises OSError where nobody is there to do so."""
    context = ssl.create_default_context()
    if not settings.tls_ca:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif settings.tls_ca != "public":
        context = ssl.create_default_context(cafile=settings.tls_ca)
    if settings.tls_client_cert:
        context.load_cert_chain(settings.tls_client_cert, settings.tls_client_key, password="")
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # gRPC is not as strict as newer Pythons
    context.set_alpn_protocols(["h2"])
    with socket.create_connection((address, port), WITHIN_S) as connection:
        try:
            with context.wrap_socket(connection, server_hostname=settings.tls_server_name or host) as encrypted:
                if not settings.tls_ca:
                    return PLAIN_HERE
                return None if encrypted.recv(1) else unwelcome(settings)  # a gRPC server speaks first
        except ssl.SSLCertVerificationError as error:
            return THEIRS + FAULTS.get(error.verify_code, f"{error.verify_message}.")
        except ssl.SSLEOFError:
            return unwelcome(settings) if settings.tls_ca else None
        except ssl.SSLError as error:
            logger.debug("handshake", host=host, port=port, error=str(error))
            return PLAIN_THERE if settings.tls_ca and error.reason == "WRONG_VERSION_NUMBER" else None


def unwelcome(settings: Settings) -> str:
    """Why a server ends a connection right after the handshake: what it was shown does not suit it."""
    if not settings.tls_client_cert:
        return NONE_SHOWN
    identity = tls.read_certificates("tls_client_cert", settings.tls_client_cert)
    return OURS_EXPIRED if tls.expiry(identity) <= datetime.now(UTC) else OURS_REFUSED
