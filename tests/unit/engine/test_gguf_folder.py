"""A GGUF file unpacked into a model's usual files, which are gone afterwards; other folders are left alone."""

import json
from pathlib import Path

import pytest
from models import gguf_files, tokenizers

from inference_server.engine import gguf_folder
from inference_server.errors import LoadFailed
from inference_server.models import gguf_header
from inference_server.tokenizer.tokenizer import ModelTokenizer


def test_a_file_becomes_a_folder_while_it_is_read(tmp_path: Path) -> None:
    tokenizers.build("byte_bpe", tmp_path)
    path = gguf_files.write("llama", ("Q4_0",), tmp_path, tmp_path / "small.gguf").path
    with gguf_folder.unpacked(path) as folder:
        assert json.loads((folder / "config.json").read_text())["model_type"] == "llama"
        assert json.loads((folder / "generation_config.json").read_text()) == {"eos_token_id": [0]}
        assert "messages" in json.loads((folder / "tokenizer_config.json").read_text())["chat_template"]
        assert (folder / gguf_header.LINK).readlink() == path
        text = "Once upon a time, naïve 東京"
        ours, own = ModelTokenizer.load(folder), gguf_files.own(tmp_path)
        assert ours.encode(text) == own.encode(text).ids
    assert not folder.exists()
    assert path.exists()


def test_another_folder_stays_as_it_is(tmp_path: Path) -> None:
    with gguf_folder.unpacked(tmp_path) as folder:
        assert folder == tmp_path
    assert tmp_path.exists()


def test_a_damaged_file_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "damaged.gguf"
    path.write_bytes(b"GGUF\3\0\0\0")
    with pytest.raises(LoadFailed, match=r"damaged\.gguf is truncated"), gguf_folder.unpacked(path):
        pass
