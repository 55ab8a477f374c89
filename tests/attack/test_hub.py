"""A hostile Hub, as HF_ENDPOINT may name one: what it lists and sends never leaves the cache, and is told in words."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_place import DESCRIPTION, NAME, Place, contents, fetch, hub_place, reason

WEIGHTS = b"weights" * 1000
FILES = {"model.safetensors": WEIGHTS, **DESCRIPTION}
CACHE = "home/user/cache"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """The Hub, and a cache some folders deep. Fails where a file lies outside it afterwards."""
    (tmp_path / CACHE).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "home")
    with hub_place(tmp_path / CACHE, monkeypatch, FILES) as place:
        yield place
    inside = Path(CACHE)
    assert [name for name in contents(tmp_path) if inside not in Path(name).parents] == []
    assert [path for path in (tmp_path / CACHE).rglob("*") if not path.resolve().is_relative_to(tmp_path / CACHE)] == []


def listed(name: str, **changes: Any) -> Callable[[dict[str, Any]], Any]:
    """A twist of what is listed of one file."""

    def twist(info: dict[str, Any]) -> dict[str, Any]:
        sibling = next(each for each in info["siblings"] if each["rfilename"] == name)
        sibling.update(changes)
        return info

    return twist


def outside(depth: int) -> str:
    return "../" * depth + "evil"


NO_IDS = [*map(outside, range(1, 9)), "/evil", "..", "", "a" * 39, "a" * 41, "A" * 40, "g" * 40, "a" * 40 + "\n", 5]


@pytest.mark.parametrize("blob_id", NO_IDS)
@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "README.md"])
def test_only_hexadecimal_digits_are_an_id(place: Place, name: str, blob_id: Any) -> None:
    place.repo.files["README.md"] = b"words"
    place.repo.twist = listed(name, blobId=blob_id)
    assert reason() == f"the Hub lists {name} with an invalid hash"
    assert not any("/resolve/" in path for _, path, _ in place.hub.requests)


@pytest.mark.parametrize("digest", [*NO_IDS, "a" * 40, None])
def test_only_64_hexadecimal_digits_are_a_sha256(place: Place, digest: Any) -> None:
    place.repo.twist = listed("model.safetensors", lfs={"sha256": digest, "size": len(WEIGHTS), "pointerSize": 133})
    assert reason() == "the Hub lists model.safetensors with an invalid hash"


@pytest.mark.parametrize(
    "name",
    [
        *map(outside, range(1, 9)),
        "tokenizer/../../../tokenizer.json",
        "/etc/passwd",
        "tokenizer\\..\\..\\x.json",
        "C:tokenizer.json",
        "a//b",
        "./config.json",
        "..",
        "",
        "nul\0.json",
        7,
        None,
    ],
)
def test_a_name_that_leaves_the_folder_is_refused(place: Place, name: Any) -> None:
    place.repo.twist = lambda info: {**info, "siblings": [*info["siblings"], {"rfilename": name, "size": 1}]}
    assert reason() == f"the Hub lists an invalid file name: {name!r}"


@pytest.mark.parametrize("commit", [*map(outside, range(1, 9)), "main", "", None, "a" * 39, 7, ["a" * 40]])
def test_only_a_commit_names_a_snapshot(place: Place, commit: Any) -> None:
    place.repo.twist = lambda info: {**info, "sha": commit}
    assert reason() == f"the Hub returned an invalid commit: {commit!r}"


@pytest.mark.parametrize("size", [-1, 2**70, "12", 1.5, True])
def test_only_a_count_of_bytes_is_a_size(place: Place, size: Any) -> None:
    place.repo.twist = listed("tokenizer.json", size=size)
    assert reason() == "the Hub lists tokenizer.json with an invalid size"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"[]",
        b"<html>",
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b'{"siblings": 5}',
        b'{"id": "x", "siblings": [5]}',
        b'{"id": "x", "siblings": [{}]}',
        b'{"id": "x", "siblings": {"rfilename": "x"}}',
        b'{"id": "x", "siblings": [{"rfilename": "x", "lfs": 5}]}',
        b"\xff\xfe",
    ],
)
def test_an_answer_without_sense_is_called_so(place: Place, answer: bytes) -> None:
    place.repo.twist = lambda info: answer
    assert reason() == "invalid response from the Hub: load the model again later"


def test_a_commit_that_was_not_asked_for_is_refused(place: Place) -> None:
    place.repo.revisions = {"a" * 40: place.repo}
    assert reason(f"{NAME}@{'a' * 40}") == "the Hub returned a different commit than requested"


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_content_that_is_not_what_was_listed_is_discarded(place: Place, name: str) -> None:
    """Outside the large-file store it is checked against git's hash."""
    place.repo.contents = {name: bytes(len(FILES[name]))}
    assert reason() == f"{name} does not match its hash on the Hub and was deleted; load the model again"
    place.repo.contents = {}
    assert contents(fetch()) == FILES


@pytest.mark.parametrize("etag", [outside(3), "/evil", "..", 'W/"x"', ""])
def test_headers_name_no_place(place: Place, etag: str) -> None:
    place.repo.headers = {"ETag": etag, "X-Linked-Etag": etag, "X-Repo-Commit": outside(2), "X-Xet-Hash": outside(2)}
    assert contents(fetch()) == FILES
    place.repo.taciturn = True
    place.repo.files["vocab.json"] = b"{}"
    assert contents(fetch()) == {**FILES, "vocab.json": b"{}"}


def test_more_than_was_listed_is_not_kept(place: Place) -> None:
    place.repo.contents = {"model.safetensors": WEIGHTS + bytes(50_000_000)}
    assert reason() == "model.safetensors is larger than the Hub says; load the model again"
    assert sum(path.stat().st_size for path in place.cache.rglob("*") if not path.is_symlink()) < 5_000_000


def test_a_mirror_without_sizes_leaves_room_on_the_disk(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.repo.taciturn = True
    monkeypatch.setattr("shutil.disk_usage", lambda folder: Usage())
    assert reason().startswith("disk full: needs 67 MB in the Hub's cache, 50 MB are free")


class Usage:
    free = 50_000_000


@pytest.mark.parametrize("name", ["../../evil.safetensors", "/evil.safetensors", "a\\..\\evil.safetensors", 5, ["x"]])
def test_an_index_that_leaves_the_folder(place: Place, name: Any) -> None:
    index = "model.safetensors.index.json"
    place.repo.files = {**DESCRIPTION, index: json.dumps({"weight_map": {"w": name}}).encode()}
    assert reason().startswith(f"{index} lists {name!r}, not a safetensors file in its folder")


def test_an_adapter_s_words_stay_short(place: Place) -> None:
    place.repo.files = {"adapter_config.json": json.dumps({"base_model_name_or_path": "x" * 10_000}).encode()}
    assert len(reason()) < 300
