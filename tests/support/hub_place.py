"""A Hub on loopback with one model, and a cache of its own that the model's files go to."""

import contextlib
import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from hub_server import Hub, Repo, point_at, run_hub
from huggingface_hub import constants

from inference_server.errors import LoadFailed
from inference_server.models import hub

MIB = 1 << 20
WEIGHTS = random.Random(7).randbytes(5 * MIB + 12_345)
DESCRIPTION = {"config.json": b'{"model_type": "llama"}', "tokenizer.json": b"{}", "tokenizer.model": b"pieces"}
NAME = "owner/model"


class Place(NamedTuple):
    """The Hub, its model, and the cache."""

    hub: Hub
    repo: Repo
    cache: Path


@contextlib.contextmanager
def hub_place(cache: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes]) -> Iterator[Place]:
    """What HF_ENDPOINT and HF_HOME say to a new process, for as long as it lasts."""
    with run_hub() as server:
        point_at(server.endpoint, monkeypatch)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
        repo = server.repos[NAME] = Repo(dict(files))
        yield Place(server, repo, cache)


class Progress:
    """What a download tells of itself."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, int]] = []

    def __call__(self, done: int, total: int) -> None:
        self.steps.append((done, total))


def fetch(name: str = NAME) -> Path:
    """Where a model's files are, once they are."""
    return hub.fetch(name, Progress(), lambda config: None)


def reason(name: str = NAME) -> str:
    """Why they can't be had."""
    with pytest.raises(LoadFailed) as failed:
        fetch(name)
    return str(failed.value)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its name within it."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
