"""Reads and validates PEM certificates and keys."""

import re
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime

from service_kit.files import content
from service_kit.settings import SettingsError, variable

CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate chain and its private key, in PEM."""

    certificate: bytes
    key: bytes = field(repr=False)

    @property
    def expires(self) -> datetime:
        return expiry(self.certificate)


def read_identity(certificate: tuple[str, str], key: tuple[str, str]) -> Identity:
    """A certificate and key, each given as (settings field, path). Raises SettingsError."""
    identity = Identity(read_certificates(*certificate), content(*key))
    changed = f"{variable(certificate[0])}={certificate[1]!r}: changed while being read"
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate[1], key[1], password="")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            fault = f"does not match the certificate in {variable(certificate[0])}"
        else:
            fault = "not an unencrypted PEM private key"
        raise SettingsError(f"{variable(key[0])}={key[1]!r}: {fault}") from error
    except OSError as error:
        raise SettingsError(changed) from error
    if identity != Identity(content(*certificate), content(*key)):
        raise SettingsError(changed)
    return identity


def read_certificates(name: str, path: str) -> bytes:
    """A certificate file, by settings field and path. Raises SettingsError."""
    pem = content(name, path)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem.decode("ascii", "replace"))
        expiry(pem)
    except (ssl.SSLError, ValueError, IndexError) as error:
        raise SettingsError(f"{variable(name)}={path!r}: not a PEM certificate") from error
    return pem


def expiry(pem: bytes) -> datetime:
    """The first certificate's expiry. Raises ValueError if there is none.

    The standard library offers this for peers only, so it is parsed from DER: Certificate { tbsCertificate {
    [0] version, serialNumber, signature, issuer, validity { notBefore, notAfter } } }.
    """
    found = CERTIFICATE.search(pem)
    if not found:
        raise ValueError("no certificate")
    (_, certificate), *_ = elements(ssl.PEM_cert_to_DER_cert(found.group().decode("ascii")))
    (_, signed), *_ = elements(certificate)
    fields = [body for tag, body in elements(signed) if tag != 0xA0]  # version, optional
    _, (tag, end) = elements(fields[3])
    text = end.decode("ascii")
    if tag == 0x17:  # UTCTime has two-digit years; 50 to 99 mean 19xx
        text = ("19" if text >= "5" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def elements(der: bytes) -> list[tuple[int, bytes]]:
    """(tag, body) of consecutive DER values."""
    found = []
    while der:
        tag, length, start = der[0], der[1], 2
        if length & 0x80:
            start += length & 0x7F
            length = int.from_bytes(der[2:start])
        found.append((tag, der[start : start + length]))
        der = der[start + length :]
    return found
