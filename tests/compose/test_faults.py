"""What an operator can get wrong: each is said in words, and nothing hangs."""

import contextlib
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from containers import GRPC_PORT, Container, Stack, docker, until
from hub_server import Repo, run_hub

from inference_server.models.bundled import FOLDER as BUNDLED

SERVER_IMAGE, GATEWAY_IMAGE = "next-token/inference-server:local", "next-token/gateway:local"
HUB_HOST = "host.docker.internal"


@contextlib.contextmanager
def container(*arguments: str) -> Iterator[Container]:
    """A container of docker run's arguments, removed at the end."""
    started = Container(docker("run", "--detach", "--env", "NEXTTOKEN_ALLOW_PLAINTEXT=1", *arguments).strip())
    try:
        yield started
    finally:
        docker("rm", "--force", "--volumes", started.id)


def ended(*arguments: str) -> tuple[int, str]:
    """The status a container ends with, and what it said."""
    with container(*arguments) as run:
        status = int(docker("wait", run.id))
        return status, run.text()


def reason(server: Container, model: str) -> str:
    """Why a model failed to load, once it has; the bundled one answers all the same."""

    def entries(event: str, name: str) -> list[str]:
        found = [entry for entry in server.log() if (entry["event"], entry.get("model")) == (event, name)]
        return [entry.get("reason", "here") for entry in found]

    until(lambda: entries("model not loaded", model) and entries("model ready", "bundled"), server.text)
    return entries("model not loaded", model)[0]


@pytest.fixture(scope="module")
def hub() -> Iterator[tuple[str, ...]]:
    """docker run's arguments for a container that finds a Hub with one model, `owner/model`."""
    with run_hub("0.0.0.0") as hub:
        port = hub.endpoint.rpartition(":")[2]
        hub.endpoint = f"http://{HUB_HOST}:{port}"
        hub.repos["owner/model"] = Repo.of(BUNDLED)
        settings = ("--env", f"HF_ENDPOINT={hub.endpoint}", "--env", "NEXTTOKEN_MODEL=owner/model")
        yield "--add-host", f"{HUB_HOST}:host-gateway", *settings


def test_a_download_fills_the_volume_and_weight_files_are_damaged(hub: tuple[str, ...], tmp_path: Path) -> None:
    """Each model says what is wrong with it, whatever is wrong with others, and the bundled one answers."""
    tmp_path.chmod(0o755)
    mounts = ["--tmpfs", "/models:size=1m,uid=10001", "--env", "NEXTTOKEN_MODELS=/half,/empty"]
    for name, kept in (("half", 0.5), ("empty", 0.0)):
        mounts += ["--volume", f"{damaged(tmp_path / name, kept)}:/{name}:ro"]
    with container(*hub, *mounts, SERVER_IMAGE) as server:
        full, *broken = (reason(server, model) for model in ("owner/model", "/half", "/empty"))
    assert full.startswith("disk full: needs ")
    assert "in the Hub's cache" in full
    assert ["model.safetensors" in said for said in broken] == [True, True]


def damaged(folder: Path, kept: float) -> Path:
    """The bundled model with only a part of its weight file."""
    shutil.copytree(BUNDLED, folder)
    weights = folder / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[: int(len(content) * kept)])
    return folder


def test_the_volume_can_not_be_written(hub: tuple[str, ...], tmp_path: Path) -> None:
    with container(*hub, "--volume", f"{tmp_path}:/models:ro", SERVER_IMAGE) as server:
        said = reason(server, "owner/model")
    assert said.startswith("can't write to the Hub's cache (")
    assert "set HF_HOME" in said


def test_the_volume_keeps_what_was_downloaded(hub: tuple[str, ...]) -> None:
    volume = docker("volume", "create").strip()
    try:
        for further in (hub, ("--network", "none", "--env", "NEXTTOKEN_MODEL=owner/model")):
            with container(*further, "--volume", f"{volume}:/models", SERVER_IMAGE) as server:
                until(lambda: ready(server, "owner/model"), server.text)
    finally:
        docker("volume", "rm", volume)


def ready(server: Container, model: str) -> bool:
    assert "model not loaded" not in server.text()
    return any((entry["event"], entry.get("model")) == ("model ready", model) for entry in server.log())


def test_the_port_is_taken_inside() -> None:
    with container(SERVER_IMAGE) as first:
        until(lambda: [entry for entry in first.log() if entry["event"] == "listening"], first.text)
        status, said = ended("--network", f"container:{first.id}", SERVER_IMAGE)
    assert status == 1
    assert f"cannot start: can't listen on 0.0.0.0:{GRPC_PORT}" in said


def test_the_port_is_taken_outside() -> None:
    stack = Stack()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", stack.page_port))
        taken.listen()
        try:
            said = stack.compose("up", "--detach", "--no-build", check=False)
        finally:
            stack.down()
    assert "address already in use" in said


def test_plaintext_beyond_the_machine_wants_a_word() -> None:
    status, said = ended("--env", "NEXTTOKEN_ALLOW_PLAINTEXT=0", SERVER_IMAGE)
    assert status == 1
    assert "set NEXTTOKEN_TLS_CERT and NEXTTOKEN_TLS_KEY, or NEXTTOKEN_ALLOW_PLAINTEXT=1" in said


@pytest.mark.parametrize(
    ("image", "setting", "words"),
    [
        (SERVER_IMAGE, "NEXTTOKEN_QUEUE_LIMIT=none", "'none': must be a whole number from 1 to 10000"),
        (GATEWAY_IMAGE, "NEXTTOKEN_TIMEOUT_S=0", "'0': must be a number above 0 and at most 600"),
    ],
)
def test_a_setting_is_out_of_range(image: str, setting: str, words: str) -> None:
    status, said = ended("--env", setting, image)
    assert status == 1
    assert f"cannot start: {setting.partition('=')[0]}={words}" in said
