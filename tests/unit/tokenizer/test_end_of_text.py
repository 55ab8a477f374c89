"""The ids that end a text: which file speaks, what counts, and what a file may not hold there."""

import json
from pathlib import Path
from typing import Any

import pytest
from models.tokenizers import build

from inference_server.errors import LoadFailed
from inference_server.models import bundled
from inference_server.tokenizer import end_of_text
from inference_server.tokenizer.tokenizer import ModelTokenizer

GENERATION, CONFIG = end_of_text.GENERATION, end_of_text.CONFIG


def folder_of(folder: Path, **files: Any) -> Path:
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize(
    ("files", "ids"),
    [
        ({}, ()),
        ({"config": {}}, ()),
        ({"generation_config": {"eos_token_id": 7}}, (7,)),
        ({"generation_config": {"eos_token_id": [7, 3]}}, (7, 3)),
        ({"generation_config": {"eos_token_id": [7, 3]}, "config": {"eos_token_id": 5}}, (7, 3)),
        ({"generation_config": {}, "config": {"eos_token_id": 5}}, (5,)),
        ({"generation_config": {"eos_token_id": None}, "config": {"eos_token_id": [5, 6]}}, (5, 6)),
        ({"generation_config": {"eos_token_id": []}, "config": {"eos_token_id": 0}}, (0,)),
        ({"config": {"text_config": {"eos_token_id": [1, 106]}}}, (1, 106)),
        ({"config": {"eos_token_id": 2, "text_config": {"eos_token_id": 9}}}, (2,)),
        ({"config": {"text_config": None}}, ()),
    ],
)
def test_the_files_that_speak(tmp_path: Path, files: dict[str, Any], ids: tuple[int, ...]) -> None:
    assert end_of_text.stated(folder_of(tmp_path, **files)) == ids


@pytest.mark.parametrize("value", ["</s>", True, 2.0, [2, None], [[2]], {"id": 2}, [2, "3"]])
@pytest.mark.parametrize("name", [GENERATION, CONFIG])
def test_anything_but_ids_is_refused_with_the_files_name(tmp_path: Path, name: str, value: Any) -> None:
    folder_of(tmp_path, **{name.removesuffix(".json"): {"eos_token_id": value}})
    with pytest.raises(LoadFailed, match=f"^{name}: eos_token_id must be a token id or a list of token ids"):
        end_of_text.stated(tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]", '"\\', "null", "\x00", "[" * 1000])
@pytest.mark.parametrize("name", [GENERATION, CONFIG])
def test_a_broken_file_is_refused_by_name(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(LoadFailed, match=f"^{name} (can.t be read|is not a JSON object)"):
        end_of_text.stated(tmp_path)


def test_what_is_no_row_of_the_model_is_no_end() -> None:
    assert end_of_text.within(100, 99, 100, -1, 7, 7, None, 10**30, 0) == (0, 7, 99)
    assert end_of_text.within(100) == ()


@pytest.mark.parametrize(
    ("kind", "prefix", "end"),
    [
        ("byte_bpe", [], "<|endoftext|>"),
        ("sentencepiece_bpe", ["<s>"], "</s>"),
        ("wordpiece", ["[CLS]"], None),
        ("tiktoken", ["<|begin_of_text|>"], "<|end_of_text|>"),
    ],
)
def test_what_a_tokenizer_says_of_beginning_and_end(
    tmp_path: Path, kind: str, prefix: list[str], end: str | None
) -> None:
    build(kind, tmp_path)
    vocabulary = ModelTokenizer.load(tmp_path)
    assert [vocabulary.token(index, []).bytes.decode() for index in vocabulary.prefix] == prefix
    named = None if vocabulary.eos_id is None else vocabulary.token(vocabulary.eos_id, []).bytes.decode()
    assert named == end


def test_an_end_that_the_vocabulary_does_not_hold_is_none(tmp_path: Path) -> None:
    """Some tokenizers give the id of their unknown token for a name they do not know: that ends nothing."""
    build("byte_bpe", tmp_path)
    path = tmp_path / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "eos_token": "<|gone|>"}))
    assert ModelTokenizer.load(tmp_path).eos_id is None


def test_the_bundled_model_ends_where_its_files_say() -> None:
    folder = bundled.FOLDER
    vocabulary = ModelTokenizer.load(folder)
    ends = end_of_text.within(vocabulary.size, *end_of_text.stated(folder), vocabulary.eos_id)
    assert [vocabulary.token(index, []).bytes for index in ends] == [b"<|endoftext|>"]
