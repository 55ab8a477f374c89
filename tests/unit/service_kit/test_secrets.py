"""Certificates, keys and tokens as files: what is refused at the start and in which words, and what is read anew."""

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import make_test_ca
import pytest
import structlog
from cryptography.hazmat.primitives import serialization

from inference_server import settings as inference
from inference_server.api import auth
from service_kit import bearer, tls
from service_kit.files import WatchedFile, content
from service_kit.settings import SettingsError
from web_gateway import settings as gateway
from web_gateway.inference import channel

SECRET = "a-secret-of-enough-characters"  # noqa: S105


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_test_ca.write(tmp_path, ["localhost"], 10)
    (tmp_path / "garbage").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    key = serialization.load_pem_private_key((tmp_path / "server.key").read_bytes(), None)
    locked = serialization.BestAvailableEncryption(b"word")
    form = serialization.PrivateFormat.PKCS8
    (tmp_path / "locked.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, locked))
    (tmp_path / "short").write_text("short")
    (tmp_path / "empty").write_text("\n")
    return tmp_path


def fault(read: Callable[[], object]) -> str:
    with pytest.raises(SettingsError) as caught:
        read()
    return str(caught.value)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"tls_cert": "none.pem", "tls_key": "server.key"}, "NEXTTOKEN_TLS_CERT='{}/none.pem': No such file"),
        ({"tls_cert": ".", "tls_key": "server.key"}, "NEXTTOKEN_TLS_CERT='{}/.': Is a directory"),
        ({"tls_cert": "garbage", "tls_key": "server.key"}, "NEXTTOKEN_TLS_CERT='{}/garbage': not a PEM certificate"),
        (
            {"tls_cert": "server.key", "tls_key": "server.key"},
            "NEXTTOKEN_TLS_CERT='{}/server.key': not a PEM certificate",
        ),
        ({"tls_cert": "server.pem", "tls_key": "client.key"}, "NEXTTOKEN_TLS_KEY='{}/client.key': does not match"),
        (
            {"tls_cert": "server.pem", "tls_key": "server.pem"},
            "NEXTTOKEN_TLS_KEY='{}/server.pem': not an unencrypted PEM private key",
        ),
        (
            {"tls_cert": "server.pem", "tls_key": "locked.key"},
            "NEXTTOKEN_TLS_KEY='{}/locked.key': not an unencrypted PEM private key",
        ),
        ({"tls_cert": "server.pem"}, "NEXTTOKEN_TLS_CERT and NEXTTOKEN_TLS_KEY must be set together"),
        ({"tls_client_ca": "ca.pem"}, "NEXTTOKEN_TLS_CLIENT_CA requires NEXTTOKEN_TLS_CERT"),
        (
            {"tls_cert": "server.pem", "tls_key": "server.key", "tls_client_ca": "empty"},
            "NEXTTOKEN_TLS_CLIENT_CA='{}/empty': not a PEM certificate",
        ),
    ],
)
def test_a_server_that_can_not_be_secured_as_told_does_not_start(
    folder: Path, given: dict[str, str], words: str
) -> None:
    settings = inference.Settings(**{name: os.path.join(folder, file) for name, file in given.items()})  # type: ignore[arg-type]
    assert fault(lambda: auth.certificates(settings)).startswith(words.format(folder))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"tls_ca": "none.pem"}, "NEXTTOKEN_TLS_CA='{}/none.pem': No such file"),
        (
            {"tls_ca": "ca.pem", "tls_client_cert": "client.pem"},
            "NEXTTOKEN_TLS_CLIENT_CERT and NEXTTOKEN_TLS_CLIENT_KEY",
        ),
        (
            {"tls_ca": "ca.pem", "tls_client_cert": "client.pem", "tls_client_key": "server.key"},
            "NEXTTOKEN_TLS_CLIENT_KEY='{}/server.key': does not match the certificate in NEXTTOKEN_TLS_CLIENT_CERT",
        ),
        ({"tls_client_cert": "client.pem", "tls_client_key": "client.key"}, "NEXTTOKEN_TLS_CA is not set"),
    ],
)
def test_a_gateway_that_can_not_be_secured_as_told_does_not_start(
    folder: Path, given: dict[str, str], words: str
) -> None:
    settings = gateway.Settings(**{name: str(folder / file) for name, file in given.items()})  # type: ignore[arg-type]
    assert fault(lambda: channel.certificates(settings)).startswith(words.format(folder))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "models.example"])
def test_a_server_in_plaintext_stays_on_this_machine_unless_told(host: str) -> None:
    words = fault(lambda: auth.certificates(inference.Settings(grpc_host=host)))
    assert host in words
    assert "NEXTTOKEN_ALLOW_PLAINTEXT" in words
    assert auth.certificates(inference.Settings(grpc_host=host, allow_plaintext=True)) is None


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_a_server_in_plaintext_may_listen_on_loopback(host: str) -> None:
    assert auth.certificates(inference.Settings(grpc_host=host)) is None


@pytest.mark.parametrize(
    "target",
    [
        *("models.example:50051", "10.0.0.1:50051", "dns:///inference_server:50051", "dns://1.1.1.1/localhost.evil:1"),
        *("ipv4:127.0.0.1:1,10.0.0.1:1", "ipv6:[fe80::1]:1", "xds:///localhost:1", "passthrough:///localhost:1"),
    ],
)
def test_a_gateway_in_plaintext_stays_on_this_machine_unless_told(target: str) -> None:
    words = fault(lambda: channel.certificates(gateway.Settings(inference_target=target)))
    assert target in words
    assert "NEXTTOKEN_ALLOW_PLAINTEXT" in words
    assert channel.certificates(gateway.Settings(inference_target=target, allow_plaintext=True)) is None


@pytest.mark.parametrize(
    "target",
    [
        *(
            "localhost:50051",
            "127.0.0.1:50051",
            "[::1]:50051",
            "localhost",
            "dns:///localhost:50051",
            "dns:127.0.0.1:1",
        ),
        *("ipv4:127.0.0.1:1,127.0.0.2:1", "ipv6:[::1]:1", "unix:/run/socket", "unix-abstract:name"),
    ],
)
def test_a_gateway_in_plaintext_may_go_to_loopback(target: str) -> None:
    assert channel.certificates(gateway.Settings(inference_target=target)) is None


@pytest.mark.parametrize(
    ("given", "file"),
    [("short", ""), (f"{SECRET} with blanks", ""), (SECRET + "ü", ""), ("", "short"), ("", "empty"), ("", "none")],
)
def test_a_token_that_is_none_is_refused_without_being_told(folder: Path, given: str, file: str) -> None:
    words = fault(lambda: bearer.read(given, str(folder / file) if file else ""))
    assert words.startswith("NEXTTOKEN_AUTH_TOKEN")
    assert SECRET not in words
    assert "short" not in words.replace(str(folder / "short"), "")


def test_a_token_comes_from_one_place(folder: Path) -> None:
    assert "set only one" in fault(lambda: bearer.read(SECRET, str(folder / "short")))
    assert bearer.read("", "") is None


@pytest.mark.parametrize(
    ("offered", "good"),
    [
        (f"Bearer {SECRET}", True),
        (f"bearer {SECRET}", True),
        (f"Bearer {SECRET}2", True),
        (f"Bearer {SECRET}3", False),
        (SECRET, False),
        (f"Basic {SECRET}", False),
        (f"Bearer  {SECRET}", False),
        ("Bearer ", False),
        ("", False),
    ],
)
def test_each_token_of_a_file_is_good(tmp_path: Path, offered: str, good: bool) -> None:
    (tmp_path / "tokens").write_text(f"{SECRET}\n{SECRET}2\n")
    secrets = bearer.read("", str(tmp_path / "tokens"))
    assert secrets
    assert bearer.accepts(secrets.value, offered) is good
    assert bearer.shown(secrets.value) == ("authorization", f"Bearer {SECRET}")


def test_a_certificate_says_when_it_ends(folder: Path) -> None:
    identity = tls.read_identity(("tls_cert", str(folder / "server.pem")), ("tls_key", str(folder / "server.key")))
    assert timedelta(days=9) < identity.expires - datetime.now(UTC) < timedelta(days=10)
    make_test_ca.write(folder, ["localhost"], 365.25 * 60)  # beyond 2049 dates are written with four digits
    assert tls.expiry((folder / "server.pem").read_bytes()).year == datetime.now(UTC).year + 60
    make_test_ca.write(folder, ["localhost"], -365.25 * 40)
    assert tls.expiry((folder / "server.pem").read_bytes()).year == datetime.now(UTC).year - 40
    assert "KEY" not in repr(identity)


def test_what_is_kept_changes_with_its_files_and_only_for_the_better(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(SECRET)
    secrets = bearer.read("", str(file))
    assert isinstance(secrets, WatchedFile)
    assert not secrets.renewed()
    for bad in ("bad", ""):
        file.write_text(bad)
        assert not secrets.renewed()
    file.unlink()
    assert not secrets.renewed()
    assert secrets.value == (SECRET.encode(),)
    file.write_text(f"{SECRET}-of-next-week")
    assert secrets.renewed()
    assert secrets.value == (f"{SECRET}-of-next-week".encode(),)
    os.utime(file)
    assert not secrets.renewed()


def test_what_can_not_be_used_is_read_again_and_told_once(tmp_path: Path) -> None:
    """Permissions may change without a trace in what a look at the file sees."""
    file = tmp_path / "tokens"
    file.write_text("old")
    reasons = iter(["", "Permission denied", "Permission denied", "garbage", "garbage", ""])

    def read() -> str:
        if reason := next(reasons):
            raise SettingsError(reason)
        return file.read_text()

    kept = WatchedFile([str(file)], read)
    file.write_text("the new one")
    with structlog.testing.capture_logs() as entries:
        assert [kept.renewed() for _ in range(5)] == [False] * 4 + [True]
    assert kept.value == "the new one"
    assert [entry["reason"] for entry in entries if "reason" in entry] == ["Permission denied", "garbage"]


@pytest.mark.parametrize("gone", ["server.pem", "server.key"])
def test_files_that_vanish_between_two_reads_are_said_to_have_changed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    def read(field: str, path: str) -> bytes:
        found = content(field, path)
        if field == "tls_key":
            (folder / gone).unlink()
        return found

    monkeypatch.setattr(tls, "content", read)
    pair = ("tls_cert", str(folder / "server.pem")), ("tls_key", str(folder / "server.key"))
    assert "changed while being read" in fault(lambda: tls.read_identity(*pair))


def test_the_search_for_the_cause_asks_nobody_for_a_pass_phrase(folder: Path) -> None:
    settings = {
        "inference_target": "localhost:1",
        "tls_client_cert": str(folder / "client.pem"),
        "tls_client_key": str(folder / "locked.key"),
    }
    script = (
        "from web_gateway.inference.tls_diagnosis import diagnose; from web_gateway.settings import Settings; "
        f"diagnose(Settings(**{settings}))"
    )
    asked = subprocess.run(
        [sys.executable, "-c", script],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        start_new_session=True,  # no terminal: OpenSSL would ask on standard error
    )
    assert "Enter PEM" not in asked.stdout + asked.stderr
