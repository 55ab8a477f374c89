"""Where a folder has a tokenizer.json, ids and names are that file's, whatever class or flags stand beside it."""

import json
from pathlib import Path

import pytest
from models.scripts import CODE, TEXTS
from models.tokenizer_files import CLASSES, FILES, built, write
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from inference_server.errors import LoadFailed
from inference_server.messages import Token
from inference_server.tokenizer.tokenizer import ModelTokenizer

FLAGS = {"add_prefix_space": True, "legacy": False, "split_special_tokens": True, "clean_up_tokenization_spaces": True}
ODD = ("", " ", "  a", " leading", "a", "▁a b", "\n\n", "12 345")


def texts_of(tokens: list[Token]) -> str:
    return b"".join(token.bytes for token in tokens if not token.is_special).decode(errors="replace")


@pytest.mark.parametrize("class_name", CLASSES)
@pytest.mark.parametrize("file", FILES)
def test_ids_and_texts_are_the_file_s(tmp_path: Path, file: str, class_name: str) -> None:
    write(tmp_path, built(file), tokenizer_config={"tokenizer_class": class_name} if class_name else {})
    vocabulary = ModelTokenizer.load(tmp_path)
    own = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert len(TEXTS) == 24
    assert vocabulary.prefix == FILES[file][1]
    for text in [*TEXTS, *ODD]:
        ids = own.encode(text, add_special_tokens=False).ids
        assert vocabulary.encode(text) == vocabulary.prefix + ids
        assert texts_of(vocabulary.spell(ids)) == own.decode(ids, skip_special_tokens=True)


@pytest.mark.parametrize(("file", "class_name"), [("digits", "GPT2Tokenizer"), ("metaspace_never", "LlamaTokenizer")])
def test_transformers_would_read_some_otherwise(tmp_path: Path, file: str, class_name: str) -> None:
    """Else the table proves nothing."""
    write(tmp_path, built(file), tokenizer_config={"tokenizer_class": class_name})
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    own = built(file)
    assert any(
        theirs.encode(text, add_special_tokens=False) != own.encode(text, add_special_tokens=False).ids
        for text in TEXTS
    )


@pytest.mark.parametrize("model_type", ["gpt2", "llama", "qwen2", "gemma3_text", "mamba", "t5", "never heard of"])
def test_nor_does_the_model_s_type_matter(tmp_path: Path, model_type: str) -> None:
    write(tmp_path, built("metaspace_first"), config={"model_type": model_type})
    vocabulary = ModelTokenizer.load(tmp_path)
    own = built("metaspace_first")
    for text in [*TEXTS, *ODD]:
        assert vocabulary.encode(text) == own.encode(text).ids


@pytest.mark.parametrize("config", ["", "[1]", "[" * 100_000, '{"model_type": ["x"], "tokenizer_class": 3}', "{"])
def test_a_bad_config_json_is_not_the_tokenizer_s_fault(tmp_path: Path, config: str) -> None:
    write(tmp_path, built("byte_level"), config=config)
    assert ModelTokenizer.load(tmp_path).encode(CODE) == built("byte_level").encode(CODE).ids


@pytest.mark.parametrize("file", FILES)
def test_flags_beside_the_file_change_nothing(tmp_path: Path, file: str) -> None:
    write(tmp_path, built(file), tokenizer_config=FLAGS | {"tokenizer_class": "LlamaTokenizer"})
    vocabulary = ModelTokenizer.load(tmp_path)
    for text in [*TEXTS, *ODD]:
        assert vocabulary.encode(text) == vocabulary.prefix + built(file).encode(text, add_special_tokens=False).ids


def test_a_token_that_only_the_config_lists_is_no_token(tmp_path: Path) -> None:
    """transformers would give it the next free id, which need not be the one that is written."""
    token = {"content": "<|new|>", "special": True}
    write(tmp_path, built("byte_level"), tokenizer_config={"added_tokens_decoder": {"900": token}})
    vocabulary = ModelTokenizer.load(tmp_path)
    assert vocabulary.encode("<|new|>") == built("byte_level").encode("<|new|>").ids
    assert vocabulary.token(900, []) == Token(900, b"", is_special=True)


def test_merges_are_never_left_out_by_chance(tmp_path: Path) -> None:
    tokenizer = built("byte_level")
    tokenizer.model.dropout = 0.9
    write(tmp_path, tokenizer)
    assert ModelTokenizer.load(tmp_path).encode(CODE) == built("byte_level").encode(CODE).ids


class TestRows:
    """A model with fewer rows of logits than its tokenizer has tokens, and with more."""

    def test_text_beyond_them_is_refused(self, tmp_path: Path) -> None:
        write(tmp_path, built("byte_level"))
        vocabulary = ModelTokenizer.load(tmp_path)
        vocabulary.check_rows(vocabulary.size)
        vocabulary.check_rows(vocabulary.size + 500)
        with pytest.raises(LoadFailed, match=r"more tokens than the model: '.+' has the id 699, .* size is 699"):
            vocabulary.check_rows(vocabulary.size - 1)

    def test_so_is_text_added_later(self, tmp_path: Path) -> None:
        tokenizer = built("byte_level")
        rows = tokenizer.get_vocab_size()
        tokenizer.add_tokens(["naïve café"])
        write(tmp_path, tokenizer)
        with pytest.raises(LoadFailed, match=f"'naïve café' has the id {rows}"):
            ModelTokenizer.load(tmp_path).check_rows(rows)

    def test_so_is_what_stands_in_front(self, tmp_path: Path) -> None:
        tokenizer = built("byte_level")
        rows = tokenizer.get_vocab_size()
        tokenizer.add_special_tokens(["<|begin|>"])
        write(tmp_path, tokenizer, tokenizer_config={"bos_token": "<|begin|>", "add_bos_token": True})
        with pytest.raises(LoadFailed, match=rf"'<\|begin\|>' has the id {rows}"):
            ModelTokenizer.load(tmp_path).check_rows(rows)

    def test_a_mark_beyond_them_is_let_be(self, tmp_path: Path) -> None:
        """As <image_soft_token> beside Gemma 3's model without images."""
        tokenizer = built("byte_level")
        rows = tokenizer.get_vocab_size()
        tokenizer.add_special_tokens(["<image_soft_token>"])
        write(tmp_path, tokenizer)
        vocabulary = ModelTokenizer.load(tmp_path)
        vocabulary.check_rows(rows)
        ids = vocabulary.encode("a<image_soft_token>b")
        assert max(ids) == rows
        assert vocabulary.beyond(ids, rows).startswith("contains <image_soft_token>, a special token")

    def test_ids_between_tokens_and_past_them_are_no_token(self, tmp_path: Path) -> None:
        described = json.loads(built("byte_level").to_str())
        described["added_tokens"].append(described["added_tokens"][0] | {"id": 800, "content": "<|last|>"})
        described["model"]["vocab"]["<|last|>"] = 800
        (tmp_path / "tokenizer.json").write_text(json.dumps(described), encoding="utf-8")
        vocabulary = ModelTokenizer.load(tmp_path)
        assert vocabulary.token(800, []) == Token(800, b"<|last|>", is_special=True)
        for no_token in (700, 799, 801, 151_900):
            assert vocabulary.token(no_token, [5]) == Token(no_token, b"", is_special=True)
        named = [vocabulary.token(token_id, [5]) for token_id in range(700)]
        assert all(token.bytes for token in named)
