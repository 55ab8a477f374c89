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
        ("NEXTTOKEN_GRPC_PORT", "70000", "NEXTTOKEN_GRPC_PORT='70000': must be a whole number from 0 to 65535"),
        ("NEXTTOKEN_GRPC_PORT", "-1", "NEXTTOKEN_GRPC_PORT='-1': must be a whole number from 0 to 65535"),
        ("NEXTTOKEN_GRPC_PORT", "http", "NEXTTOKEN_GRPC_PORT='http': must be a whole number from 0 to 65535"),
        ("NEXTTOKEN_DEVICE", "gpu", "NEXTTOKEN_DEVICE='gpu': must be one of 'auto', 'cpu', 'cuda', 'cuda:all', 'mps'"),
        ("NEXTTOKEN_READY_WHEN", "soon", "NEXTTOKEN_READY_WHEN='soon': must be one of 'any', 'default'"),
        ("NEXTTOKEN_CLIENT_SHARE", "2", "NEXTTOKEN_CLIENT_SHARE='2': must be a number above 0 and at most 1"),
        ("NEXTTOKEN_STALL_S", "0", "NEXTTOKEN_STALL_S='0': must be a number above 0"),
        ("NEXTTOKEN_CONNECTION_AGE_S", "-1", "NEXTTOKEN_CONNECTION_AGE_S='-1': must be a number from 0 to 86400"),
        ("NEXTTOKEN_GRACE_S", "nan", "NEXTTOKEN_GRACE_S='nan': must be a number from 0 up"),
    ],
)
def test_a_fault_names_the_variable_and_the_range(variable: str, value: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(inference_server.settings.Settings, {variable: value})
    assert str(caught.value) == words


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("NEXTTOKEN_TRUSTED_PROXIES", "10.0.0.0/8, proxy", "'proxy' does not appear to be an IPv4 or IPv6 network"),
        ("NEXTTOKEN_TRUSTED_PROXIES", "10.0.0.1/8", "has host bits set; must be an address or a network such as"),
        ("NEXTTOKEN_TRUSTED_HOSTS", "https://a.org", "https://a.org must be a host name such as example.org"),
        ("NEXTTOKEN_TRUSTED_HOSTS", "a.org:80", "a.org:80 must be a host name such as example.org"),
        ("NEXTTOKEN_CORS_ORIGINS", "a.org", "a.org must be an origin such as https://example.org"),
        ("NEXTTOKEN_CORS_ORIGINS", "https://a.org/", "https://a.org/ must be an origin such as https://example.org"),
        ("NEXTTOKEN_RATE_PER_S", "-1", "must be a whole number from 0 to 100000"),
    ],
)
def test_a_fault_of_the_gateways(variable: str, value: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(web_gateway.settings.Settings, {variable: value})
    assert f"{variable}={value!r}: " in str(caught.value)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("x", "must be a whole number from 0 to 65535"),
        ("70000", "must be a whole number from 0 to 65535"),
        ("", ""),
        ("0", ""),
    ],
)
def test_a_port_may_be_left_out(value: str, words: str) -> None:
    environment = {"NEXTTOKEN_METRICS_PORT": value}
    if words:
        with pytest.raises(SettingsError, match=words):
            read(inference_server.settings.Settings, environment)
    else:
        assert read(inference_server.settings.Settings, environment).metrics_port == (0 if value else None)


def test_a_switch_says_what_it_takes() -> None:
    assert read(inference_server.settings.Settings, {"NEXTTOKEN_LOG_TEXT": "true"}).log_text is True
    with pytest.raises(SettingsError, match="NEXTTOKEN_LOG_TEXT='yes': must be true or false"):
        read(inference_server.settings.Settings, {"NEXTTOKEN_LOG_TEXT": "yes"})


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
