"""A template is found where transformers finds it, and what is wrong with it never keeps a model from loading."""

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from inference_server.models import bundled
from inference_server.tokenizer.chat_template import FILE, MAX_BYTES, NONE, read

SOURCE = "{{ messages[0].content }}"
OTHER = "{{ 'other' }}"
NAMED = [{"name": "tool_use", "template": OTHER}, {"name": "default", "template": SOURCE}]


def write(folder: Path, **config: Any) -> Path:
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", **config}))
    (folder / "tokenizer.json").write_bytes((bundled.FOLDER / "tokenizer.json").read_bytes())
    return folder


@pytest.mark.parametrize("stated", [SOURCE, NAMED])
@pytest.mark.parametrize("beside", [False, True])
def test_a_template_is_where_transformers_finds_it(tmp_path: Path, stated: object, beside: bool) -> None:
    write(tmp_path, chat_template=stated, **{"bos_token": "<|endoftext|>"})
    if beside:
        (tmp_path / FILE).write_text("{{ 'é' }}", encoding="utf-8")
    judge = AutoTokenizer.from_pretrained(tmp_path, local_files_only=True)
    found = read(tmp_path)
    assert (found.source, found.missing) == (judge.get_chat_template(), "")
    assert found.names["bos_token"] == judge.bos_token


def test_a_model_may_have_none(tmp_path: Path) -> None:
    assert read(write(tmp_path)).missing == NONE
    assert read(bundled.FOLDER).missing == NONE


def test_several_without_a_default_are_no_choice_of_ours(tmp_path: Path) -> None:
    assert "none of them named default" in read(write(tmp_path, chat_template=NAMED[:1])).missing


@pytest.mark.parametrize("stated", [5, True, {"default": 5}])
def test_what_is_no_template_is_told_as_such(tmp_path: Path, stated: object) -> None:
    found = read(write(tmp_path, chat_template=stated))
    assert found.source == ""
    assert found.missing.startswith("this model")


def test_one_that_is_no_text_is_told_as_such(tmp_path: Path) -> None:
    (write(tmp_path) / FILE).write_bytes(b"\xff\xfe")
    assert "can't be read" in read(tmp_path).missing


def test_one_that_is_too_large_is_told_as_such(tmp_path: Path) -> None:
    assert (
        "1,000,001 bytes; 1,000,000 are allowed" in read(write(tmp_path, chat_template="a" * (MAX_BYTES + 1))).missing
    )
