"""docs/security.md names every limit there is, with its default."""

import re
from pathlib import Path

import msgspec

import inference_server.settings
import web_gateway.settings
from service_kit.settings import describe

ROOT = Path(__file__).parents[2]
SECURITY = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
SERVICES: list[type[msgspec.Struct]] = [inference_server.settings.Settings, web_gateway.settings.Settings]
OTHERS = {  # settings that limit nobody: what runs, how it is logged, who may be believed by certificate or token
    *("MODEL", "MODELS", "READY_WHEN", "DEVICE", "GRPC_PORT", "METRICS_PORT", "PORT", "INFERENCE_TARGET"),
    "RAY_APPLICATION",
    *("TLS_CERT", "TLS_KEY", "TLS_CLIENT_CA", "TLS_CA", "TLS_CLIENT_CERT", "TLS_CLIENT_KEY", "TLS_SERVER_NAME"),
    *("AUTH_TOKEN", "AUTH_TOKEN_FILE", "LOOKAHEAD", "DRAIN_S", "GRACE_S", "LOG_FORMAT", "LOG_LEVEL", "LOG_TEXT"),
}


def test_the_table_of_limits_is_complete_and_has_the_defaults() -> None:
    expected = {
        variable: default or "empty"
        for settings in SERVICES
        for variable, default, _ in describe(settings)
        if variable.removeprefix("NEXTTOKEN_") not in OTHERS
    }
    table = SECURITY.split("<!-- limits -->")[1].split("<!-- /limits -->")[0]
    rows = re.findall(r"^\| `(NEXTTOKEN_\w+)` \| `?([^|`]+?)`? \| \S", table, re.MULTILINE)
    assert dict(rows) == expected
    assert len(rows) == len(expected)


def test_every_setting_it_speaks_of_exists() -> None:
    known = {variable for settings in SERVICES for variable, _, _ in describe(settings)}
    assert set(re.findall(r"NEXTTOKEN_[A-Z_]+", SECURITY)) <= known


def test_every_command_it_speaks_of_exists() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z0-9-]+)", SECURITY)) <= targets


def test_whoever_looks_for_the_policy_is_led_there() -> None:
    assert "](docs/security.md)" in (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    assert "](docs/security.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
