"""Which of a model's files are chosen, and what failures are called."""

from pathlib import Path

import pytest

from inference_server.errors import LoadFailed
from inference_server.models import hub, repo_files


@pytest.mark.parametrize(
    ("names", "weights"),
    [
        (["model.safetensors", "model.safetensors.index.json", "model-00001-of-00002.safetensors"], 1),
        (["model.safetensors.index.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"], 1),
        (["model.safetensors", "consolidated.safetensors", "model-fp16-copy.safetensors", "pytorch_model.bin"], 1),
    ],
)
def test_weights_are_chosen_once(names: list[str], weights: int) -> None:
    chosen = repo_files.choose(
        [*names, "config.json", "tokenizer.json", "model.py", "optimizer.pt", "tokenizer/x.json"]
    )
    assert chosen[weights:] == ["config.json", "tokenizer.json"]
    assert chosen[0] == names[0]


@pytest.mark.parametrize("names", [[], ["pytorch_model.bin"], ["consolidated.safetensors"], ["sub/model.safetensors"]])
def test_other_weights_are_refused(names: list[str]) -> None:
    with pytest.raises(LoadFailed, match=r"^no safetensors weights"):
        repo_files.choose([*names, "config.json"])


def test_a_local_folder_is_used_where_it_lies(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"")
    (tmp_path / "config.json").write_bytes(b"{}")
    (tmp_path / "tokenizer.json").write_bytes(b"{}")
    assert hub.fetch(str(tmp_path), print, print) == tmp_path


def test_a_local_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LoadFailed, match=r"^no safetensors weights"):
        hub.fetch(str(tmp_path), print, print)
