"""Settings are read once, and every fault names its variable and what is allowed."""

from typing import Any

import msgspec
import pytest

import inference_server.settings
import web_gateway.settings
from service_kit.settings import SettingsError, describe, read

SERVICES: list[type[msgspec.Struct]] = [inference_server.settings.Settings, web_gateway.settings.Settings]


@pytest.mark.parametrize("settings", SERVICES)
def test_defaults_need_no_environment(settings: type[msgspec.Struct]) -> None:
    assert read(settings, {}) == settings()
    assert read(settings, {"NEXTTOKEN_LOG_LEVEL": "  "}) == settings()


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("NEXTTOKEN_GRPC_PORT", "70000", "NEXTTOKEN_GRPC_PORT='70000': Expected int <= 65535"),
        ("NEXTTOKEN_GRPC_PORT", "-1", "NEXTTOKEN_GRPC_PORT='-1': Expected int >= 0"),
        ("NEXTTOKEN_GRPC_PORT", "http", "NEXTTOKEN_GRPC_PORT='http': Expected int, got str"),
        ("NEXTTOKEN_DEVICE", "gpu", "NEXTTOKEN_DEVICE='gpu': Expected one of 'auto', 'cpu', 'cuda', 'mps'"),
        ("NEXTTOKEN_READY_WHEN", "soon", "NEXTTOKEN_READY_WHEN='soon': Expected one of 'any', 'default'"),
        ("NEXTTOKEN_GRACE_S", "nan", "NEXTTOKEN_GRACE_S='nan': Expected float >= 0.0"),
    ],
)
def test_a_fault_names_the_variable_and_the_range(variable: str, value: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(inference_server.settings.Settings, {variable: value})
    assert str(caught.value) == words


def test_lists_are_split_at_commas() -> None:
    settings = read(inference_server.settings.Settings, {"NEXTTOKEN_MODELS": "a/b, ./c ,,"})
    assert settings.models == ("a/b", "./c")


@pytest.mark.parametrize("settings", SERVICES)
def test_every_setting_has_a_meaning(settings: type[msgspec.Struct]) -> None:
    assert [variable for variable, _, meaning in describe(settings) if not meaning] == []


@pytest.mark.parametrize("settings", SERVICES)
def test_settings_are_frozen(settings: type[Any]) -> None:
    with pytest.raises(AttributeError):
        settings().log_level = "debug"
