"""A model's files before they are loaded: JSON that is none, names that lead elsewhere, contexts by many names."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from inference_server.errors import LoadFailed
from inference_server.models import checkpoint
from inference_server.models.checkpoint import UNSTATED_CONTEXT, Weights
from inference_server.models.safetensors_header import Tensor


def test_weights_are_counted_by_kind() -> None:
    weights = Weights({"a": Tensor("F16", (2, 3), 0, 12), "b": Tensor("I64", (4,), 12, 44)})
    assert (weights.elements, weights.float_elements, weights.bytes) == (10, 6, 44)
    assert weights.kinds == {"F16"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[]", "is not a JSON object"),
        ("{", "can't be read"),
        ('{"a": 1, "a": 2}', "conflicting values for 'a'"),
        ("[" * 100_000, "nested too deeply"),
        ("\udcff", "can't be read"),
    ],
)
def test_a_file_that_is_no_object_is_named(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(LoadFailed, match=words) as refused:
        checkpoint.read_json(path)
    assert "config.json" in str(refused.value)


def test_one_thing_said_twice_is_read(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"a": 1, "a": 1}')
    assert checkpoint.read_json(path) == {"a": 1}


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LoadFailed, match=r"no config\.json"):
        checkpoint.read_json(tmp_path / "config.json")
    (tmp_path / "config.json").symlink_to(tmp_path / "gone")
    with pytest.raises(LoadFailed, match="broken link to gone"):
        checkpoint.read_json(tmp_path / "config.json")


@pytest.mark.parametrize(
    ("config", "tokenizer", "limit"),
    [
        ({"n_positions": 1024}, None, 1024),
        ({"max_position_embeddings": 2048, "n_ctx": 1024}, None, 2048),
        ({"max_position_embeddings": True, "n_ctx": 512}, None, 512),
        ({"n_ctx": 0}, 256, 256),
        ({}, 1e30, UNSTATED_CONTEXT),
        ({}, None, UNSTATED_CONTEXT),
    ],
)
def test_the_context_is_what_is_stated(
    tmp_path: Path, config: dict[str, Any], tokenizer: float | None, limit: int
) -> None:
    if tokenizer is not None:
        (tmp_path / "tokenizer_config.json").write_text(json.dumps({"model_max_length": tokenizer}))
    assert checkpoint.context_limit(SimpleNamespace(**config), tmp_path) == limit


@pytest.mark.parametrize("name", ["../a", "a/../b", "/a", "a//b", "a\\b", "c:a", "a\nb", ".", ""])
def test_names_that_lead_elsewhere(name: str) -> None:
    assert not checkpoint.is_inside(name)


@pytest.mark.parametrize("name", ["a", "a/b.safetensors", "a..b"])
def test_names_that_stay_inside(name: str) -> None:
    assert checkpoint.is_inside(name)


@pytest.mark.parametrize("names", [None, {}, {"a": 1}, {"a": "../b.safetensors"}, {"a": "b.bin"}])
def test_an_index_names_weights_beside_it(tmp_path: Path, names: Any) -> None:
    index = tmp_path / checkpoint.INDEX
    index.write_text(json.dumps({"weight_map": names}))
    with pytest.raises(LoadFailed, match="lists"):
        checkpoint.shards(index)


def test_an_index_names_each_file_once(tmp_path: Path) -> None:
    index = tmp_path / checkpoint.INDEX
    index.write_text(json.dumps({"weight_map": {"x": "b.safetensors", "y": "a.safetensors", "z": "b.safetensors"}}))
    assert checkpoint.shards(index) == ["a.safetensors", "b.safetensors"]


def test_weights_of_another_form_are_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "shard-00000-model-00001-of-00002.safetensors").touch()
    with pytest.raises(LoadFailed, match="distributed"):
        checkpoint.inspect(tmp_path)


def test_what_could_hold_code_is_named_and_never_opened(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"no pickle")
    with pytest.raises(LoadFailed, match=r"only pytorch_model\.bin"):
        checkpoint.inspect(tmp_path)
