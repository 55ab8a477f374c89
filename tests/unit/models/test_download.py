"""Fetching models from a Hub on loopback: what is told, refused, resumed and found in the cache."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hub_place import DESCRIPTION, MIB, NAME, WEIGHTS, Place, Progress, contents, fetch, hub_place, reason
from hub_server import Fault, point_at, unreachable
from huggingface_hub import constants

from inference_server.errors import LoadFailed
from inference_server.models import download, hub

IGNORED = {"pytorch_model.bin": b"code", "modeling.py": b"code", "README.md": b"words", "onnx/model.safetensors": b"x"}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    with hub_place(tmp_path, monkeypatch, {"model.safetensors": WEIGHTS, **DESCRIPTION, **IGNORED}) as place:
        yield place


def test_of_a_repository_the_model_is_fetched_and_nothing_else(place: Place) -> None:
    folder = fetch()
    assert contents(folder) == {"model.safetensors": WEIGHTS, **DESCRIPTION}


def test_a_mirror_that_lists_names_alone_serves_too(place: Place) -> None:
    place.repo.taciturn = True
    folder = fetch()
    assert contents(folder) == {"model.safetensors": WEIGHTS, **DESCRIPTION}


def test_progress_is_in_bytes_and_the_whole_is_known_up_front(place: Place) -> None:
    progress = Progress()
    hub.fetch(NAME, progress, lambda config: None)
    described = sum(map(len, DESCRIPTION.values()))
    whole = described + len(WEIGHTS)
    assert progress.steps[0] == (0, 0)
    assert {total for _, total in progress.steps[1:]} == {whole}
    done = [step for step, _ in progress.steps]
    assert done == sorted(done)
    assert done[-1] == whole
    assert {described + MIB, described + 2 * MIB, described + 3 * MIB} <= set(done)  # the weights come last


def test_what_is_in_the_cache_is_not_fetched_again(place: Place) -> None:
    first = fetch()
    assert fetch() == first
    assert place.hub.downloads("model.safetensors") == 1


@pytest.mark.parametrize("kind", ["close", "reset"])
def test_a_cut_download_goes_on_where_it_was_cut(place: Place, kind: Any) -> None:
    place.repo.faults["model.safetensors"] = Fault(kind, after=3 * MIB)
    folder = fetch()
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    (span,) = place.hub.ranges("model.safetensors")
    assert MIB <= int(span.removeprefix("bytes=").removesuffix("-")) <= 3 * MIB


def test_a_download_that_brings_nothing_fails_in_words_and_can_be_tried_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "GIVE_UP_S", 0.0)
    place.repo.faults["model.safetensors"] = Fault("reset", after=0)
    assert reason().startswith("no network")
    assert (fetch() / "model.safetensors").read_bytes() == WEIGHTS


def test_after_a_failure_the_next_attempt_goes_on_from_the_partial_file(
    place: Place,
) -> None:
    class Stop(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done >= 2 * MIB:
            raise Stop

    with pytest.raises(Stop):
        hub.fetch(NAME, stop, lambda config: None)
    progress = Progress()
    folder = hub.fetch(NAME, progress, lambda config: None)
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert len(place.hub.ranges("model.safetensors")) == 1
    described = sum(map(len, DESCRIPTION.values()))
    assert min(done for done, total in progress.steps if done > described) >= described + MIB


def test_a_stalled_download_is_given_up_and_resumed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 2)
    place.repo.faults["model.safetensors"] = fault = Fault("hold", after=2 * MIB)
    folder = fetch()
    assert fault.reached.is_set()
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert len(place.hub.ranges("model.safetensors")) == 1


def test_a_file_that_arrives_damaged_is_discarded_and_fetched_anew(place: Place) -> None:
    place.repo.faults["model.safetensors"] = Fault("corrupt", after=MIB)
    assert "does not match its hash" in reason()
    assert (fetch() / "model.safetensors").read_bytes() == WEIGHTS
    assert place.hub.ranges("model.safetensors") == []


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        ((404, "RepoNotFound"), "not on the Hub, or private"),
        ((401, "RepoNotFound"), "not on the Hub, or private"),
        ((401, ""), "not on the Hub, or private"),
        ((403, ""), "not on the Hub, or private"),
        ((403, "GatedRepo"), "gated: accept the terms"),
        ((500, ""), "the Hub returned HTTP 500"),
        ((429, ""), "the Hub returned HTTP 429"),
    ],
)
def test_a_refusal_is_told_in_words(place: Place, refusal: tuple[int, str], words: str) -> None:
    place.repo.refusal = refusal
    assert words in reason()


def test_a_name_nobody_has_is_told_in_words(place: Place) -> None:
    assert "not on the Hub, or private" in reason("owner/nothing")
    assert "neither a local folder nor a Hub id" in reason("no/such/folder")
    assert "neither a local folder nor a Hub id" in reason("../etc/passwd")


def test_without_safetensors_nothing_is_fetched(place: Place) -> None:
    del place.repo.files["model.safetensors"]
    assert reason().startswith("no safetensors weights")
    assert not any("/resolve/" in path for _, path, _ in place.hub.requests)


def test_without_a_configuration_nothing_is_fetched(place: Place) -> None:
    del place.repo.files["config.json"]
    assert reason().startswith("no config.json")
    assert not any("/resolve/" in path for _, path, _ in place.hub.requests)


def test_a_model_that_is_not_accepted_is_not_fetched(place: Place) -> None:
    def accept(config: Path) -> None:
        raise LoadFailed(f"not this one: {config.read_text()}")

    with pytest.raises(LoadFailed, match=r"not this one: .*llama"):
        hub.fetch(NAME, Progress(), accept)
    assert place.hub.downloads("model.safetensors") == 0


def test_no_network_is_told_in_words(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    point_at(unreachable(), monkeypatch)
    assert reason().startswith("no network: can't reach http://127.0.0.1:")


def test_offline_mode_is_told_in_words(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert reason().startswith("no network: HF_HUB_OFFLINE is set")


@pytest.mark.parametrize("how", ["unreachable", "offline", "refused"])
def test_without_the_hub_a_whole_copy_in_the_cache_serves(
    place: Place, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    folder = fetch()
    if how == "unreachable":
        point_at(unreachable(), monkeypatch)
    elif how == "offline":
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    else:
        place.repo.refusal = (503, "")
    assert fetch() == folder


def test_without_the_hub_half_a_copy_does_not_serve(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fetch()
    (folder / "config.json").unlink()
    point_at(unreachable(), monkeypatch)
    assert reason().startswith("no network")


def test_a_new_commit_is_fetched_and_files_that_stayed_are_not(place: Place) -> None:
    first = fetch()
    place.repo.files["config.json"] = b'{"model_type": "gpt2"}'
    second = fetch()
    assert (second / "config.json").read_bytes() == b'{"model_type": "gpt2"}'
    assert (first / "config.json").read_bytes() == b'{"model_type": "llama"}'
    assert place.hub.downloads("model.safetensors") == 1


def test_a_full_disk_is_told_before_anything_is_fetched(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Free(free=3 * MIB))
    assert reason().startswith("disk full: needs 5 MB in the Hub's cache, 3 MB are free")
    assert place.hub.downloads("model.safetensors") == 0


class Free(NamedTuple):
    free: int


def test_a_cache_that_cannot_be_written_is_told_in_words(place: Place) -> None:
    (place.cache / "models--owner--model").write_text("a file where a folder belongs")
    assert "set HF_HOME to a writable folder" in reason()
