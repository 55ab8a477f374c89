"""Which files of a repository make a model, by which name it is asked for, and what lies in the way."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_place import DESCRIPTION, NAME, Place, Progress, contents, fetch, hub_place, reason
from hub_server import Repo, point_at, unreachable

from inference_server.errors import LoadFailed
from inference_server.models import hub

INDEX = "model.safetensors.index.json"
PARTS = {"part-a.safetensors": b"first", "weights/b.safetensors": b"second"}
SHARDED = {INDEX: json.dumps({"weight_map": dict(zip("ab", PARTS, strict=True))}).encode(), **PARTS, **DESCRIPTION}
WHOLE = {"model.safetensors": b"weights", **DESCRIPTION}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.chdir(tmp_path)
    with hub_place(tmp_path / "cache", monkeypatch, WHOLE) as place:
        yield place


def assert_no_weights_were_fetched(place: Place) -> None:
    assert not any("/resolve/" in path and path.endswith(".safetensors") for _, path, _ in place.hub.requests)


def test_weights_are_the_files_that_the_index_names_and_no_others(place: Place) -> None:
    place.hub.repos[NAME] = Repo({**SHARDED, "model-fp16-copy.safetensors": b"a copy", "model-2.safetensors": b"old"})
    assert contents(fetch()) == SHARDED


@pytest.mark.parametrize("name", ["../x.safetensors", "/x.safetensors", "a/../x.safetensors", "..\\x.safetensors", 5])
def test_an_index_names_files_beside_it_alone(place: Place, name: object) -> None:
    place.repo.files[INDEX] = json.dumps({"weight_map": {"w": name}}).encode()
    del place.repo.files["model.safetensors"]
    assert reason().startswith(f"{INDEX} lists {name!r}, not a safetensors file in its folder")


def test_a_file_that_the_index_names_and_nobody_has(place: Place) -> None:
    place.hub.repos[NAME] = repo = Repo(dict(SHARDED))
    del repo.files["weights/b.safetensors"]
    assert reason() == (f"{INDEX} lists weights/b.safetensors, which is not in the repository")
    assert_no_weights_were_fetched(place)


@pytest.mark.parametrize("lost", ["part-a.safetensors", "weights/b.safetensors"])
def test_without_the_hub_some_of_the_parts_do_not_serve(
    place: Place, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    place.hub.repos[NAME] = Repo(dict(SHARDED))
    folder = fetch()
    point_at(unreachable(), monkeypatch)
    assert fetch() == folder
    (folder / lost).unlink()
    assert reason().startswith("no network")


@pytest.mark.parametrize(
    ("tokenizer", "words"),
    [({"tekken.json": b"{}"}, "no tokenizer files (only tekken.json, which is not"), ({}, "no tokenizer files (none)")],
)
def test_without_a_tokenizer_that_is_read_nothing_is_fetched(
    place: Place, tokenizer: dict[str, bytes], words: str
) -> None:
    place.hub.repos[NAME] = Repo({"model.safetensors": b"weights", "config.json": b"{}", **tokenizer})
    assert reason().startswith(words)
    assert_no_weights_were_fetched(place)


ADAPTER = {
    "adapter_config.json": b'{"base_model_name_or_path": "meta-llama/Llama-3.1-8B"}',
    "adapter_model.safetensors": b"a little",
}


def test_a_lone_adapter_names_itself_and_its_model(place: Place, tmp_path: Path) -> None:
    words = "an adapter (LoRA) for meta-llama/Llama-3.1-8B, not a model: name it `base + adapter`"
    place.hub.repos[NAME] = Repo(dict(ADAPTER))
    assert reason().startswith(words)
    assert_no_weights_were_fetched(place)
    write(tmp_path / "lora", ADAPTER)
    assert reason(str(tmp_path / "lora")).startswith(words)
    (tmp_path / "lora" / "adapter_config.json").unlink()
    assert reason(str(tmp_path / "lora")).startswith("an adapter (LoRA), not a model: name it")


@pytest.mark.parametrize("file", ADAPTER)
def test_an_adapter_beside_weights_is_not_passed_over(place: Place, tmp_path: Path, file: str) -> None:
    place.repo.files[file] = ADAPTER[file]
    assert reason().startswith(f"both model weights and an adapter ({file}): merge the adapter")
    assert_no_weights_were_fetched(place)
    write(tmp_path / "both", {**WHOLE, file: ADAPTER[file]})
    assert reason(str(tmp_path / "both")).startswith(f"both model weights and an adapter ({file})")


def write(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


@pytest.mark.parametrize("files", [{}, {"notes.txt": b"words"}])
def test_a_folder_without_a_model_does_not_hide_the_hub(place: Place, tmp_path: Path, files: dict[str, bytes]) -> None:
    write(tmp_path / NAME, files)
    assert contents(fetch()) == WHOLE
    write(tmp_path / "owner/other", files)
    assert reason("owner/other") == (
        "not on the Hub, or private: check the name, or set HF_TOKEN to a token with access; "
        "the local folder owner/other contains no model either"
    )


def test_a_folder_with_a_part_of_a_model_is_the_one_that_is_meant(place: Place, tmp_path: Path) -> None:
    write(tmp_path / NAME, {"config.json": b"{}"})
    assert reason() == (
        f"in the local folder {NAME}: no safetensors weights: use a model with model.safetensors, or convert this one"
    )
    assert place.hub.requests == []


def test_a_folder_elsewhere_is_never_looked_for_in_the_hub(place: Place, tmp_path: Path) -> None:
    write(tmp_path / "owner" / "empty", {})
    assert reason(str(tmp_path / "owner" / "empty")).startswith("no safetensors weights")
    assert reason("./owner/empty").startswith("no safetensors weights")
    assert place.hub.requests == []


def test_a_link_to_nothing_is_called_one(place: Place, tmp_path: Path) -> None:
    write(tmp_path / "linked", DESCRIPTION)
    (tmp_path / "linked" / "model.safetensors").symlink_to(tmp_path / "gone" / "weights.safetensors")
    words = "model.safetensors is a broken link to weights.safetensors"
    assert reason(str(tmp_path / "linked")) == words
    os.symlink(tmp_path / "nowhere", tmp_path / "latest")
    assert reason(str(tmp_path / "latest")) == "latest is a broken link to nowhere"


def at(revision: str) -> dict[str, bytes]:
    """What the model's files were at a revision."""
    return {**WHOLE, "config.json": json.dumps({"revision": revision}).encode()}


@pytest.fixture
def revisions(place: Place) -> dict[str, str]:
    """What may be asked for beside the newest, and the commit it is."""
    place.repo.revisions = {name: Repo(at(name)) for name in ("v1.0", "tuning", "refs/pr/3")}
    commits = {name: repo.sha for name, repo in place.repo.revisions.items()}
    return {**commits, commits["v1.0"]: commits["v1.0"]}


def test_a_branch_a_tag_and_a_commit_can_be_named(place: Place, revisions: dict[str, str]) -> None:
    for revision, commit in revisions.items():
        folder = fetch(f"{NAME}@{revision}")
        assert folder.name == commit
        assert contents(folder) == at(revision if revision != commit else "v1.0")
    assert contents(fetch()) == WHOLE


def test_without_the_hub_each_revision_is_its_own_copy(
    place: Place, revisions: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = revisions["v1.0"]
    fetch(f"{NAME}@{commit}")
    fetch(f"{NAME}@tuning")
    point_at(unreachable(), monkeypatch)
    assert contents(fetch(f"{NAME}@{commit}")) == at("v1.0")
    assert contents(fetch(f"{NAME}@tuning")) == at("tuning")
    for other in (NAME, f"{NAME}@v1.0"):
        assert reason(other).startswith("no network")


@pytest.mark.parametrize(
    ("revision", "words"),
    [
        ("v9", "no such branch, tag or commit: check the part after @"),
        ("0" * 40, "no such branch, tag or commit"),
        ("", "@ is not a branch, tag or commit: use owner/name@revision"),
        ("../main", "@../main is not a branch, tag or commit"),
        ("/etc", "@/etc is not a branch, tag or commit"),
    ],
)
def test_a_revision_that_is_none_is_told_in_words(place: Place, revision: str, words: str) -> None:
    assert reason(f"{NAME}@{revision}").startswith(words)


def test_a_folder_may_have_an_at_in_its_name(place: Place, tmp_path: Path) -> None:
    write(tmp_path / "model@v1", WHOLE)
    assert fetch("model@v1") == Path("model@v1")


def test_what_decides_is_shown_under_its_own_name(place: Place) -> None:
    def accept(config: Path) -> None:
        raise LoadFailed(f"{config.name} of {config.parent.name}: {config.read_text()}")

    with pytest.raises(LoadFailed) as failed:
        hub.fetch(NAME, Progress(), accept)
    assert str(failed.value) == f"config.json of {place.repo.sha}: {WHOLE['config.json'].decode()}"
