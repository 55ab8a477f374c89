"""From nothing to a clicked chart in a real browser, and what the containers may not do."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import chromium
import pytest
import torch
from containers import GATEWAY, SERVER, Container, Stack, docker, running, until
from pages import click_bar, rows, settled, write
from playwright.sync_api import expect, sync_playwright
from servers import ROOT
from transformers import LlamaConfig, LlamaForCausalLM

from inference_server.models.bundled import FOLDER as BUNDLED

MOST_GATEWAY_MB = 120
SERVER_IMAGE = "next-token/inference-server:local"
PAPERS = "/usr/share/doc/next-token-visualizer"
INSTALLED = """
import json
from importlib.metadata import distributions
print(json.dumps(sorted([each.name, each.version] for each in distributions())))
"""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with running(NEXTTOKEN_MODEL="") as stack:  # the default model, which can't be had without a network
        yield stack


def test_from_nothing_to_a_clicked_chart(stack: Stack) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium.EXECUTABLE, args=chromium.ARGUMENTS)
        page = browser.new_page()
        page.goto(stack.url)
        settled(page)
        write(page, "Once upon a time")
        expect(rows(page)).to_have_count(10)
        assert click_bar(page, 0)
        expect(rows(page)).to_have_count(10)
        browser.close()


def test_without_a_network_the_bundled_model_answers_and_the_default_says_why_not(stack: Stack) -> None:
    (server,) = stack.containers()
    entry = next(entry for entry in server.log() if entry["event"] == "model not loaded")
    assert "no network" in entry["reason"]


@pytest.mark.parametrize("service", [SERVER, GATEWAY])
def test_a_container_may_do_nothing_it_need_not(stack: Stack, service: str) -> None:
    (container,) = stack.containers(service)
    known = container.inspect()
    assert known["Config"]["User"] == "10001:10001"
    host = known["HostConfig"]
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert not host["Privileged"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["Memory"] > 0
    assert host["MemorySwap"] == host["Memory"]
    assert host["PidsLimit"] > 0
    assert host["LogConfig"]["Config"] == {"max-file": "3", "max-size": "10m"}
    status = dict(line.split(":\t", 1) for line in container.run("cat", "/proc/1/status").splitlines() if ":\t" in line)
    assert int(status["CapEff"], 16) == 0
    assert int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert status["Uid"].split() == ["10001"] * 4
    for place in ("/", "/app", "/opt/venv", "/etc"):
        assert "Read-only file system" in docker("exec", container.id, "touch", f"{place}/new", check=False)
    assert known["State"]["Health"]["Status"] in ("healthy", "starting")


@pytest.mark.parametrize("service", [SERVER, GATEWAY])
def test_the_healthcheck_finds_the_service_well(stack: Stack, service: str) -> None:
    (container,) = stack.containers(service)
    container.run(*container.inspect()["Config"]["Healthcheck"]["Test"][1:])


def test_the_healthcheck_finds_an_absent_server_out() -> None:
    run = ("run", "--rm", "--network", "none", SERVER_IMAGE)
    assert "no answer: UNAVAILABLE" in docker(*run, "python", "-m", "inference_server.ops.probe", check=False)


def test_the_sizes(images: dict[str, float]) -> None:
    print("\nimage_mb " + json.dumps({name: round(size, 1) for name, size in images.items()}))  # noqa: T201
    assert images["gateway"] <= MOST_GATEWAY_MB
    absent = docker("run", "--rm", "next-token/gateway:local", "python", "-c", "import torch", check=False)
    assert "No module named 'torch'" in absent


@pytest.mark.parametrize("name", ["inference-server", "gateway"])
def test_the_labels_say_what_it_is(name: str) -> None:
    labels = json.loads(docker("image", "inspect", "--format", "{{json .Config.Labels}}", f"next-token/{name}:local"))
    for key in ("title", "description", "version", "revision"):
        assert labels[f"org.opencontainers.image.{key}"]


@pytest.mark.parametrize("name", ["inference-server", "gateway", "space"])
def test_the_licence_of_every_package_is_in_the_image(name: str) -> None:
    run = ("run", "--rm", f"next-token/{name}:local")
    licence, licences = (docker(*run, "cat", f"{PAPERS}/{paper}") for paper in ("LICENSE", "licences.txt"))
    assert licence == (ROOT / "LICENSE").read_text()
    listed = re.findall(r"(?m)^=== ([^ =]+) ([^ =]+): (.+)$", licences)
    assert sorted([package, version] for package, version, _ in listed) == json.loads(
        docker(*run, "python", "-c", INSTALLED)
    )
    assert "not stated" not in {name for _, _, name in listed}
    for words in ("Apache License\n", "Permission is hereby granted", "Redistributions of source code"):
        assert words in licences


@pytest.fixture(scope="module")
def large_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model that is large enough for compiled steps."""
    folder = tmp_path_factory.mktemp("large")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=4096,
        hidden_size=768,
        num_attention_heads=12,
        num_key_value_heads=4,
        intermediate_size=3072,
        num_hidden_layers=6,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).bfloat16().save_pretrained(folder)
    for name in ("tokenizer_config.json", "tokenizer.json"):
        shutil.copy(BUNDLED / name, folder / name)
    folder.chmod(0o755)
    for path in folder.iterdir():
        path.chmod(0o644)
    return folder


def test_nothing_is_compiled_at_start_for_the_cpu_that_built_the_image(large_model: Path) -> None:
    mounts = ("--read-only", "--tmpfs", "/tmp", "--volume", f"{large_model}:/large:ro", "--network", "none")  # noqa: S108
    variables = ("NEXTTOKEN_MODEL=/large", "NEXTTOKEN_ALLOW_PLAINTEXT=1")
    settings = (part for variable in variables for part in ("--env", variable))
    server = Container(docker("run", "--detach", *mounts, *settings, SERVER_IMAGE).strip())
    try:
        until(lambda: [entry for entry in server.log() if entry["event"] == "model ready"][1:], server.text)
        assert [entry for entry in server.log() if entry["event"] == "kernel compiled"] == []
        loaded = docker("exec", server.id, "cat", "/proc/1/maps")
        assert "llvmlite" in loaded
        assert "numba" not in loaded
    finally:
        docker("rm", "--force", server.id)
