"""Which folders make a vocabulary, and how the others are refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from models.scripts import SCRIPTS
from models.tokenizers import build, write_tiktoken
from tokenizers import Tokenizer, decoders

from inference_server.errors import LoadFailed
from inference_server.tokenizer.tokenizer import ModelTokenizer


def write(folder: Path, **files: Any) -> None:
    """Writes each file, by its name without .json."""
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / f"{name}.json").write_text(text, encoding="utf-8")


@pytest.mark.parametrize("config", [{}, {"model_type": "gpt2"}, {"model_type": "llama"}])
def test_a_folder_without_tokenizer_files_is_refused(tmp_path: Path, config: dict[str, str]) -> None:
    write(tmp_path, config=config)
    with pytest.raises(LoadFailed, match="no tokenizer files"):
        ModelTokenizer.load(tmp_path)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LoadFailed, match="no tokenizer files"):
        ModelTokenizer.load(tmp_path / "nowhere")


@pytest.mark.parametrize("content", ["", "{}", "not JSON", '{"model": {"type": "BPE"}, "added_tokens": []}'])
@pytest.mark.parametrize("model_type", ["gpt2", "llama", "mamba"])
def test_a_broken_file_is_refused(tmp_path: Path, model_type: str, content: str) -> None:
    write(tmp_path, config={"model_type": model_type}, tokenizer=content)
    with pytest.raises(LoadFailed, match="can't be read"):
        ModelTokenizer.load(tmp_path)


@pytest.mark.parametrize("kind", ["byte_bpe", "sentencepiece_bpe"])
def test_code_in_the_folder_is_never_run(tmp_path: Path, kind: str) -> None:
    build(kind, tmp_path)
    ids = ModelTokenizer.load(tmp_path).encode("the river")
    (tmp_path / "theirs.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')", encoding="utf-8")
    write(
        tmp_path, config={"model_type": "theirs"}, tokenizer_config={"auto_map": {"AutoTokenizer": ["theirs.T", None]}}
    )
    assert ModelTokenizer.load(tmp_path).encode("the river") == ids
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "tokenizer.model").touch()
    with pytest.raises(LoadFailed, match="never runs"):
        ModelTokenizer.load(tmp_path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["config", "tokenizer_config", "special_tokens_map"])
def test_of_broken_files_beside_a_vocabulary_the_name_is_told(tmp_path: Path, name: str) -> None:
    write_tiktoken(tmp_path)
    write(tmp_path, **{name: "[" * 100_000})
    with pytest.raises(LoadFailed, match=rf"^{name}\.json can't be read"):
        ModelTokenizer.load(tmp_path)


def test_a_tokenizer_that_is_only_python_code_is_refused(tmp_path: Path) -> None:
    write(tmp_path, config={"model_type": "ctrl"}, vocab={"<unk>": 0, "a": 1})
    (tmp_path / "merges.txt").write_text("#version\n", encoding="utf-8")
    with pytest.raises(LoadFailed, match="CTRLTokenizer, is implemented in Python"):
        ModelTokenizer.load(tmp_path)


def test_a_tokenizer_that_needs_another_library_is_refused(tmp_path: Path) -> None:
    config = {"pattern": ".", "num_vocab_tokens": 2, "default_vocab_size": 2, "default_num_special_tokens": 0}
    write(tmp_path, config={"model_type": "mistral"}, tekken={"config": config | {"version": "v3"}, "vocab": []})
    with pytest.raises(LoadFailed, match=r"requires a library that is not installed .*mistral-common"):
        ModelTokenizer.load(tmp_path)


def test_a_decoder_that_can_t_be_followed_is_refused(tmp_path: Path) -> None:
    build("byte_bpe", tmp_path)
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    tokenizer.decoder = decoders.CTC()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(LoadFailed, match="CTC"):
        ModelTokenizer.load(tmp_path)


@pytest.mark.parametrize("kind", ["sentencepiece_bpe", "unigram", "wordpiece"])
def test_the_model_s_type_does_not_change_the_alphabet(tmp_path: Path, kind: str) -> None:
    build(kind, tmp_path)
    alone = ModelTokenizer.load(tmp_path)
    write(tmp_path, config={"model_type": "qwen2"})  # for which transformers assumes byte-level names
    beside = ModelTokenizer.load(tmp_path)
    for text in SCRIPTS.values():
        assert beside.decode(beside.encode(text)) == alone.decode(alone.encode(text))


@pytest.mark.parametrize("kind", ["byte_bpe", "tiktoken"])
def test_a_byte_level_tokenizer_follows_transformers(tmp_path: Path, kind: str) -> None:
    build(kind, tmp_path)
    write(tmp_path, config={"model_type": "qwen2"})
    vocabulary = ModelTokenizer.load(tmp_path)
    for text in SCRIPTS.values():
        assert vocabulary.decode(vocabulary.encode(text)) == text


def test_truncation_and_padding_set_in_the_file_are_ignored(tmp_path: Path) -> None:
    build("byte_bpe", tmp_path)
    ids = ModelTokenizer.load(tmp_path).encode("the river ran to the sea")
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    tokenizer.enable_truncation(3)
    tokenizer.enable_padding(length=40)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert ModelTokenizer.load(tmp_path).encode("the river ran to the sea") == ids


def test_a_mark_the_tokenizer_puts_behind_is_left_off(tmp_path: Path) -> None:
    build("tiktoken", tmp_path)
    config = json.loads((tmp_path / "tokenizer_config.json").read_text(encoding="utf-8"))
    write(tmp_path, tokenizer_config=config | {"add_eos_token": True})
    vocabulary = ModelTokenizer.load(tmp_path)
    assert vocabulary.encode("the river") == [500, *vocabulary.encode("the river")[1:]]
    assert not vocabulary.spell(vocabulary.encode("the river"))[-1].is_special


def test_a_replaced_tiktoken_file_is_read_anew(tmp_path: Path) -> None:
    write_tiktoken(tmp_path)
    write(tmp_path, tokenizer_config={"tokenizer_class": "TokenizersBackend"})
    before = ModelTokenizer.load(tmp_path)
    file = tmp_path / "tokenizer.model"
    file.write_bytes(b"\n".join(file.read_bytes().splitlines()[:-50]))
    assert ModelTokenizer.load(tmp_path).size == before.size - 50
