"""Creates a CA and certificates for trying TLS between the services. Not for production: keys are not encrypted.

    tools/make-test-ca FOLDER [--server NAME ...] [--days N]

writes ca.pem, ca.key, server.pem, server.key, client.pem and client.key. If FOLDER has a CA, it is kept and signs the
new certificates. Files are replaced atomically, so running services can reload them.
"""

import argparse
import os
import sys
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

HOSTS = ["localhost", "127.0.0.1", "::1", "inference_server"]
CLOCK_SKEW = timedelta(hours=1)


class Authority:
    """A CA certificate and its key."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self.certificate = certificate
        self.key = key

    @classmethod
    def new(cls, name: str, days: float) -> "Authority":
        """A self-signed CA."""
        key = ec.generate_private_key(ec.SECP256R1())
        usage = x509.KeyUsage(
            key_cert_sign=True,
            crl_sign=True,
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        certificate = (
            draft(name, named(name), key.public_key(), days)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .sign(key, hashes.SHA256())
        )
        return cls(certificate, key)

    @classmethod
    def load(cls, folder: Path) -> "Authority":
        """The CA in a folder."""
        key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            sys.exit(f"{folder}/ca.key was not written by this program")
        return cls(x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes()), key)

    def issue(self, name: str, hosts: list[str], days: float, server: bool) -> tuple[bytes, bytes]:
        """A server or client certificate and its key, in PEM. `hosts` are DNS names and IP addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        usage = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = (
            draft(name, self.certificate.subject, key.public_key(), days)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(issuer_key, critical=False)
        )
        if hosts:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([general(host) for host in hosts]), critical=False
            )
        return in_pem(builder.sign(self.key, hashes.SHA256())), key_in_pem(key)


def draft(name: str, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: float) -> x509.CertificateBuilder:
    """A certificate with the common fields. Negative days: already expired."""
    now = datetime.now(UTC)
    end = now + timedelta(days=days)
    return (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(now, end) - CLOCK_SKEW)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def named(name: str) -> x509.Name:
    """An X.509 name."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def general(host: str) -> x509.GeneralName:
    """An X.509 general name for a host name or address."""
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def in_pem(certificate: x509.Certificate) -> bytes:
    """The certificate in PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_in_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The key in PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def put(path: Path, content: bytes) -> None:
    """Writes a file atomically."""
    temporary = path.with_suffix(path.suffix + ".new")
    temporary.unlink(missing_ok=True)
    mode = 0o644 if path.suffix == ".pem" else 0o600
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    temporary.replace(path)


def write(folder: Path, hosts: list[str], days: float) -> None:
    """Writes all six files; an existing CA is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "ca.key").exists():
        authority = Authority.load(folder)
    else:
        authority = Authority.new("Next-Token Visualizer test CA", 3650)
        put(folder / "ca.key", key_in_pem(authority.key))
        put(folder / "ca.pem", in_pem(authority.certificate))
    for name, names, server in (("server", hosts, True), ("client", [], False)):
        certificate, key = authority.issue(f"next-token {name}", names, days, server)
        put(folder / f"{name}.key", key)
        put(folder / f"{name}.pem", certificate)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--server",
        action="append",
        metavar="NAME",
        help=f"a host name or address of the inference server; may be repeated ({', '.join(HOSTS)})",
    )
    parser.add_argument("--days", type=float, default=90, help="validity in days (90)")
    chosen = parser.parse_args()
    write(chosen.folder, chosen.server or HOSTS, chosen.days)


if __name__ == "__main__":
    main()
