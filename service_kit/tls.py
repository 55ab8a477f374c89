"""Certificates and keys in PEM files, checked before anyone is shown them. Knows ssl and no transport."""

import re
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime

from service_kit.files import content
from service_kit.settings import SettingsError, variable

CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Identity:
    """What a service proves who it is with: its certificate, followed by those that vouch for it, and its key; PEM."""

    certificate: bytes
    key: bytes = field(repr=False)

    @property
    def expires(self) -> datetime:
        """When its certificate ends."""
        return expiry(self.certificate)


def read_identity(certificate: tuple[str, str], key: tuple[str, str]) -> Identity:
    """The pair in two files, each given as (settings field, path). Raises SettingsError."""
    identity = Identity(read_certificates(*certificate), content(*key))
    changed = f"{variable(certificate[0])}={certificate[1]!r}: changed while it was read"
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate[1], key[1], password="")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            fault = f"is not the key of the certificate in {variable(certificate[0])}"
        else:
            fault = "holds no private key in PEM without a password"
        raise SettingsError(f"{variable(key[0])}={key[1]!r}: {fault}") from error
    except OSError as error:
        raise SettingsError(changed) from error
    if identity != Identity(content(*certificate), content(*key)):
        raise SettingsError(changed)
    return identity


def read_certificates(name: str, path: str) -> bytes:
    """A file of certificates, by settings field and path. Raises SettingsError."""
    pem = content(name, path)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem.decode("ascii", "replace"))
        expiry(pem)
    except (ssl.SSLError, ValueError, IndexError) as error:
        raise SettingsError(f"{variable(name)}={path!r}: holds no certificate in PEM") from error
    return pem


def expiry(pem: bytes) -> datetime:
    """When the first certificate ends. Raises ValueError where there is none.

    The standard library shows this only of peers, so it is read from the DER: Certificate { tbsCertificate {
    [0] version, serialNumber, signature, issuer, validity { notBefore, notAfter } } }.
    """
    found = CERTIFICATE.search(pem)
    if not found:
        raise ValueError("no certificate")
    (_, certificate), *_ = elements(ssl.PEM_cert_to_DER_cert(found.group().decode("ascii")))
    (_, signed), *_ = elements(certificate)
    fields = [body for tag, body in elements(signed) if tag != 0xA0]  # version, absent in the first one
    _, (tag, end) = elements(fields[3])
    written = end.decode("ascii")
    if tag == 0x17:  # UTCTime: two digits of the year, 50 to 99 in the last century
        written = ("19" if written >= "5" else "20") + written
    return datetime.strptime(written, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def elements(der: bytes) -> list[tuple[int, bytes]]:
    """(tag, body) of the values that stand in a row."""
    found = []
    while der:
        tag, length, start = der[0], der[1], 2
        if length & 0x80:
            start += length & 0x7F
            length = int.from_bytes(der[2:start])
        found.append((tag, der[start : start + length]))
        der = der[start + length :]
    return found
