"""An adapter's two files from a folder or a hub: these and no others, checked before its weights are fetched."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hub_place import NAME, Place, contents, hub_place
from hub_server import Repo, point_at, unreachable

from inference_server.errors import LoadFailed
from inference_server.models import adapter_fetch

DESCRIBED = json.dumps({"peft_type": "LORA", "r": 2, "target_modules": ["q_proj"]}).encode()
WEIGHTS = safetensors.torch.save({"base_model.model.q_proj.lora_A.weight": torch.zeros(2, 8)})
FILES = {"adapter_config.json": DESCRIBED, "adapter_model.safetensors": WEIGHTS}
OTHERS = {"README.md": b"about", "tokenizer.json": b"{}", "adapter_model.bin": b"pickle", "optimizer.pt": b"pickle"}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.chdir(tmp_path)
    with hub_place(tmp_path / "cache", monkeypatch, {**FILES, **OTHERS}) as place:
        yield place


def fetch(name: str = NAME) -> Path:
    return adapter_fetch.fetch(name, lambda done, total: None)


def reason(name: str = NAME) -> str:
    with pytest.raises(LoadFailed) as failed:
        fetch(name)
    return str(failed.value)


def test_two_files_are_fetched_and_no_others(place: Place) -> None:
    assert contents(fetch()) == FILES


def test_without_the_hub_the_cached_copy_serves_if_it_is_complete(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fetch()
    point_at(unreachable(), monkeypatch)
    assert fetch() == folder
    (folder / "adapter_model.safetensors").unlink()
    assert reason().startswith(f"the adapter {NAME}: no network")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"adapter_config.json": DESCRIBED.replace(b"LORA", b"LOHA")}, "the adapter is of type 'LOHA'"),
        ({"adapter_config.json": DESCRIBED[:-1] + b', "use_dora": true}'}, "the adapter uses DoRA"),
        ({"adapter_config.json": b"["}, "adapter_config.json can't be read"),
    ],
)
def test_one_that_can_t_be_used_is_refused_before_its_weights(
    place: Place, changed: dict[str, bytes], words: str
) -> None:
    place.hub.repos[NAME] = Repo({**FILES, **changed})
    assert reason().startswith(words)
    assert not any("/resolve/" in path and path.endswith(".safetensors") for _, path, _ in place.hub.requests)


@pytest.mark.parametrize("lost", FILES)
def test_a_folder_that_lacks_a_file(place: Place, tmp_path: Path, lost: str) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    for name, content in {**FILES, **OTHERS}.items():
        (folder / name).write_bytes(content)
    assert fetch(str(folder)) == folder
    (folder / lost).unlink()
    assert f"no {lost}" in reason(str(folder))
    assert "pickle files can run code" in reason(str(folder))


def test_a_name_that_is_neither(place: Place) -> None:
    assert reason("/nowhere/at all") == "the adapter /nowhere/at all: neither a local folder nor a Hub id such as " + (
        "owner/name: check the name"
    )
