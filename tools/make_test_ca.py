"""Makes an authority and certificates for trying out TLS between the tiers. Not for production: keys lie unencrypted.

    tools/make-test-ca FOLDER [--server NAME ...] [--days N]

writes ca.pem, ca.key, server.pem, server.key, client.pem and client.key. A FOLDER with an authority keeps it and gets
new certificates, each put in place in one step, as services that reload them like it.
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
CLOCKS_DIFFER = timedelta(hours=1)


class Authority:
    """A certificate that vouches for others, and its key."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self.certificate = certificate
        self.key = key

    @classmethod
    def new(cls, name: str, days: float) -> "Authority":
        """An authority that nobody vouches for."""
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
    def kept_in(cls, folder: Path) -> "Authority":
        """The authority of a folder."""
        key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            sys.exit(f"{folder}/ca.key is not one of this program's")
        return cls(x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes()), key)

    def issue(self, name: str, hosts: list[str], days: float, server: bool) -> tuple[bytes, bytes]:
        """A certificate for a server of these host names and addresses, or for a client; and its key. PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        usage = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        vouching = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = (
            draft(name, self.certificate.subject, key.public_key(), days)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(vouching, critical=False)
        )
        if hosts:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([general(host) for host in hosts]), critical=False
            )
        return in_pem(builder.sign(self.key, hashes.SHA256())), key_in_pem(key)


def draft(name: str, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: float) -> x509.CertificateBuilder:
    """What all certificates have. Negative days make one that has expired."""
    now = datetime.now(UTC)
    end = now + timedelta(days=days)
    return (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(now, end) - CLOCKS_DIFFER)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def named(name: str) -> x509.Name:
    """A name as certificates hold it."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def general(host: str) -> x509.GeneralName:
    """A host name or address as certificates hold it."""
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def in_pem(certificate: x509.Certificate) -> bytes:
    """The certificate's file."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_in_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The key's file."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def put(path: Path, content: bytes) -> None:
    """Writes a file in one step."""
    beside = path.with_suffix(path.suffix + ".new")
    beside.unlink(missing_ok=True)
    mode = 0o644 if path.suffix == ".pem" else 0o600
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    beside.replace(path)


def write(folder: Path, hosts: list[str], days: float) -> None:
    """All six files, of which those of an authority may be there."""
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "ca.key").exists():
        authority = Authority.kept_in(folder)
    else:
        authority = Authority.new("Next-Token Visualizer test CA", 3650)
        put(folder / "ca.key", key_in_pem(authority.key))
        put(folder / "ca.pem", in_pem(authority.certificate))
    for name, names, server in (("server", hosts, True), ("client", [], False)):
        certificate, key = authority.issue(f"next-token {name}", names, days, server)
        put(folder / f"{name}.key", key)
        put(folder / f"{name}.pem", certificate)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--server",
        action="append",
        metavar="NAME",
        help=f"a host name or address of the inference server; may be repeated ({', '.join(HOSTS)})",
    )
    parser.add_argument("--days", type=float, default=90, help="how long the certificates hold (90)")
    chosen = parser.parse_args()
    write(chosen.folder, chosen.server or HOSTS, chosen.days)


if __name__ == "__main__":
    main()
