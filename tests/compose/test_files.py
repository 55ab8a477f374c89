"""The Compose files as Compose reads them; no container runs here."""

import json
import re
from typing import Any

import pytest
from containers import GATEWAY, SERVER, Stack
from servers import ROOT

import inference_server.settings
import web_gateway.settings

OVERRIDES = sorted(path.name for path in ROOT.glob("docker-compose.*.yml"))


def read(*overrides: str) -> dict[str, Any]:
    return dict(json.loads(Stack(*overrides).compose("config", "--format", "json")))


@pytest.mark.parametrize("override", OVERRIDES)
def test_every_override_is_valid(override: str) -> None:
    services = read(override)["services"]
    assert {SERVER, GATEWAY} <= set(services)
    for name in (SERVER, GATEWAY):
        assert services[name]["read_only"]
        assert services[name]["cap_drop"] == ["ALL"]


def test_all_overrides_go_together() -> None:
    assert {SERVER, GATEWAY} <= set(read(*OVERRIDES)["services"])


def test_only_the_page_is_published_beyond_loopback() -> None:
    ports = {
        (name, port["target"]): port.get("host_ip")
        for name, service in read()["services"].items()
        for port in service.get("ports", [])
    }
    assert ports == {(SERVER, 50051): "127.0.0.1", (GATEWAY, 5005): "127.0.0.1"}  # the latter as this test's stack asks


def stage(dockerfile: str, name: str) -> str:
    """Up to the point at which the inference server's stage lists licences, which a Space does at its end."""
    text = (ROOT / dockerfile).read_text(encoding="utf-8")
    (found,) = re.findall(
        rf"^FROM \S+ AS {name}\n(.*?)(?=^COPY tools/licences|^FROM|^#|\Z)", text, re.DOTALL | re.MULTILINE
    )
    return str(found).strip()


@pytest.mark.parametrize("name", ["requirements", "packages"])
def test_a_space_is_built_from_the_inference_server_s_installation(name: str) -> None:
    found = stage("deploy/space/Dockerfile", name)
    assert "RUN" in found
    assert found == stage("inference_server/Dockerfile", name)


def test_a_stop_waits_longer_than_the_services_take() -> None:
    services = read()["services"]
    server = inference_server.settings.Settings()
    assert seconds(services[SERVER]["stop_grace_period"]) > server.drain_s + server.grace_s + 0.5
    assert seconds(services[GATEWAY]["stop_grace_period"]) > web_gateway.settings.Settings().grace_s


def seconds(period: str) -> float:
    assert period.endswith("s")
    return float(period[:-1])


def test_replicas_share_no_port() -> None:
    service = read("docker-compose.scale.yml")["services"][SERVER]
    assert not service.get("ports")
    assert service["scale"] == 3


def test_the_page_for_operators_names_every_variable_and_file() -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    for file in ("docker-compose.yml", *OVERRIDES):
        variables = set(re.findall(r"\$\{(\w+)", (ROOT / file).read_text(encoding="utf-8")))
        assert {name for name in variables if not name.startswith("NEXTTOKEN_") and f"`{name}`" not in page} == set()
    named = set(re.findall(r"docker-compose[.\w]*\.yml", page))
    assert named == {"docker-compose.yml", *OVERRIDES}
