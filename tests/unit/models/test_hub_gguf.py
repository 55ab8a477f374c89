"""GGUF files by name: a path, the one of a folder, or one of a repository, which is all that is fetched of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_place import DESCRIPTION, NAME, Place, fetch, hub_place, reason
from hub_server import Fault, Repo, point_at, unreachable

FILES = {"small.Q4_0.gguf": b"GGUF small", "large/big.Q8_0.gguf": b"GGUF large", "README.md": b"words"}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.chdir(tmp_path)
    with hub_place(tmp_path / "cache", monkeypatch, FILES) as place:
        yield place


@pytest.mark.parametrize("file", ["small.Q4_0.gguf", "large/big.Q8_0.gguf"])
def test_one_file_of_a_repository(place: Place, monkeypatch: pytest.MonkeyPatch, file: str) -> None:
    path = fetch(f"{NAME}:{file}")
    assert path.name == file.rpartition("/")[2]
    assert path.read_bytes() == FILES[file]
    assert [asked for _, asked, _ in place.hub.requests if "/resolve/" in asked] != []
    assert all(asked.endswith(file) for _, asked, _ in place.hub.requests if "/resolve/" in asked)
    point_at(unreachable(), monkeypatch)
    assert fetch(f"{NAME}:{file}") == path


def test_of_a_revision(place: Place) -> None:
    place.repo.revisions["v1"] = Repo({"small.Q4_0.gguf": b"GGUF older"})
    assert fetch(f"{NAME}@v1:small.Q4_0.gguf").read_bytes() == b"GGUF older"


def test_a_damaged_download_is_refused(place: Place) -> None:
    place.repo.faults["small.Q4_0.gguf"] = Fault("corrupt", 4)
    assert reason(f"{NAME}:small.Q4_0.gguf").startswith("small.Q4_0.gguf does not match its hash")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (f"{NAME}:none.gguf", "no none.gguf in the repository; it has large/big.Q8_0.gguf, small.Q4_0.gguf"),
        (NAME, "only GGUF files: choose one, as owner/name:FILE (large/big.Q8_0.gguf, small.Q4_0.gguf)"),
        (f"{NAME}:README.md", ":README.md is no GGUF file: use owner/name:file.gguf"),
        (f"{NAME}:../x.gguf", ":../x.gguf is no GGUF file"),
        (f"{NAME}:", "only GGUF files"),
        ("no/such.gguf", "no such file: check the path"),
        ("owner/other:small.Q4_0.gguf", "not on the Hub, or private"),
    ],
)
def test_what_is_not_there(place: Place, name: str, words: str) -> None:
    assert reason(name).startswith(words)
    assert not any("/resolve/" in path for _, path, _ in place.hub.requests)


def test_a_path_and_a_folder_with_one(place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "owner" / "model"
    folder.mkdir(parents=True)
    (folder / "a.gguf").write_bytes(b"GGUF a")
    (folder / "config.json").write_text("{}")  # some repositories have one beside it
    assert fetch(str(folder / "a.gguf")) == folder / "a.gguf"
    assert fetch(str(folder)) == folder / "a.gguf"
    assert fetch(NAME) == Path(NAME) / "a.gguf"
    (folder / "b.gguf").write_bytes(b"GGUF b")
    assert reason(str(folder)).startswith("several GGUF files: name one by its path (a.gguf, b.gguf)")
    assert fetch(f"{NAME}/b.gguf") == Path(NAME) / "b.gguf"


def test_safetensors_go_before_gguf(place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "both"
    folder.mkdir()
    for name, content in {**DESCRIPTION, "model.safetensors": b"weights", "a.gguf": b"GGUF"}.items():
        (folder / name).write_bytes(content)
    assert fetch(str(folder)) == folder
