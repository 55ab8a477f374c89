"""Where a folder has a tokenizer.json, ids and names are that file's, whatever class or flags stand beside it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from models.scripts import CODE, TEXTS
from models.tokenizer_files import CLASSES, FILES
from tokenizers import Tokenizer, processors
from transformers import AutoTokenizer

from inference_server.errors import LoadFailed
from inference_server.values import Token
from inference_server.vocabulary import Vocabulary

FLAGS = {"add_prefix_space": True, "legacy": False, "split_special_tokens": True, "clean_up_tokenization_spaces": True}
ODD = ("", " ", "  a", " leading", "a", "▁a b", "\n\n", "12 345")

Build = Callable[[str], Tokenizer]


@pytest.fixture(scope="module")
def built() -> Build:
    """From the name of a file to its tokenizer, trained once."""
    kept: dict[str, str] = {}

    def build(name: str) -> Tokenizer:
        if name not in kept:
            kept[name] = FILES[name][0]().to_str()
        return Tokenizer.from_str(kept[name])

    return build


def write(folder: Path, tokenizer: Tokenizer, **beside: Any) -> None:
    """Saves a tokenizer, and each file of `beside` by its name without .json."""
    tokenizer.save(str(folder / "tokenizer.json"))
    for name, content in beside.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / f"{name}.json").write_text(text, encoding="utf-8")


def texts_of(tokens: list[Token]) -> str:
    return b"".join(token.bytes for token in tokens if not token.is_special).decode(errors="replace")


@pytest.mark.parametrize("class_name", CLASSES)
@pytest.mark.parametrize("file", FILES)
def test_ids_and_texts_are_the_file_s(tmp_path: Path, built: Build, file: str, class_name: str) -> None:
    write(tmp_path, built(file), tokenizer_config={"tokenizer_class": class_name} if class_name else {})
    vocabulary = Vocabulary.load(tmp_path)
    own = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert len(TEXTS) == 24
    assert vocabulary.prefix == FILES[file][1]
    for text in [*TEXTS, *ODD]:
        ids = own.encode(text, add_special_tokens=False).ids
        assert vocabulary.encode(text) == vocabulary.prefix + ids
        assert texts_of(vocabulary.spell(ids)) == own.decode(ids, skip_special_tokens=True)


@pytest.mark.parametrize(("file", "class_name"), [("digits", "GPT2Tokenizer"), ("metaspace_never", "LlamaTokenizer")])
def test_transformers_would_read_some_otherwise(tmp_path: Path, built: Build, file: str, class_name: str) -> None:
    """Else the table proves nothing."""
    write(tmp_path, built(file), tokenizer_config={"tokenizer_class": class_name})
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    own = built(file)
    assert any(
        theirs.encode(text, add_special_tokens=False) != own.encode(text, add_special_tokens=False).ids
        for text in TEXTS
    )


@pytest.mark.parametrize("model_type", ["gpt2", "llama", "qwen2", "gemma3_text", "mamba", "t5", "never heard of"])
def test_nor_does_the_model_s_type_matter(tmp_path: Path, built: Build, model_type: str) -> None:
    write(tmp_path, built("metaspace_first"), config={"model_type": model_type})
    vocabulary = Vocabulary.load(tmp_path)
    own = built("metaspace_first")
    for text in [*TEXTS, *ODD]:
        assert vocabulary.encode(text) == own.encode(text).ids


@pytest.mark.parametrize("config", ["", "[1]", "[" * 100_000, '{"model_type": ["x"], "tokenizer_class": 3}', "{"])
def test_a_bad_config_json_is_not_the_tokenizer_s_fault(tmp_path: Path, built: Build, config: str) -> None:
    write(tmp_path, built("byte_level"), config=config)
    assert Vocabulary.load(tmp_path).encode(CODE) == built("byte_level").encode(CODE).ids


@pytest.mark.parametrize("file", FILES)
def test_flags_beside_the_file_change_nothing(tmp_path: Path, built: Build, file: str) -> None:
    write(tmp_path, built(file), tokenizer_config=FLAGS | {"tokenizer_class": "LlamaTokenizer"})
    vocabulary = Vocabulary.load(tmp_path)
    for text in [*TEXTS, *ODD]:
        assert vocabulary.encode(text) == vocabulary.prefix + built(file).encode(text, add_special_tokens=False).ids


def test_a_token_that_only_the_config_lists_is_no_token(tmp_path: Path, built: Build) -> None:
    """transformers would give it the next free id, which need not be the one that is written."""
    token = {"content": "<|new|>", "special": True}
    write(tmp_path, built("byte_level"), tokenizer_config={"added_tokens_decoder": {"900": token}})
    vocabulary = Vocabulary.load(tmp_path)
    assert vocabulary.encode("<|new|>") == built("byte_level").encode("<|new|>").ids
    assert vocabulary.token(900, []) == Token(900, b"", is_special=True)


def test_merges_are_never_left_out_by_chance(tmp_path: Path, built: Build) -> None:
    tokenizer = built("byte_level")
    tokenizer.model.dropout = 0.9
    write(tmp_path, tokenizer)
    assert Vocabulary.load(tmp_path).encode(CODE) == built("byte_level").encode(CODE).ids


class TestMarks:
    """What stands in front of a text, and which tokens begin and end one."""

    @pytest.mark.parametrize(
        ("file", "config", "prefix"),
        [
            ("byte_level", {}, []),
            ("byte_level", {"bos_token": "<s>"}, []),
            ("byte_level", {"bos_token": "<s>", "add_bos_token": True}, [1]),
            ("byte_level", {"bos_token": {"content": "<s>", "lstrip": False}, "add_bos_token": True}, [1]),
            ("byte_level", {"bos_token": "<s>", "add_bos_token": False}, []),
            ("byte_level", {"bos_token": "<s>", "add_bos_token": None}, []),
            ("byte_level", {"bos_token": "not there", "add_bos_token": True}, []),
            ("byte_level", {"bos_token": None, "add_bos_token": True}, []),
            ("byte_level", {"add_bos_token": True, "tokenizer_class": "LlamaTokenizer"}, [1]),
            ("pattern", {"bos_token": "<s>", "add_bos_token": True}, [1]),
            ("pattern", {"bos_token": "<s>", "add_bos_token": False}, [1]),
            ("wordpiece", {"add_bos_token": True}, [1]),
        ],
    )
    def test_in_front(self, tmp_path: Path, built: Build, file: str, config: dict[str, Any], prefix: list[int]) -> None:
        write(tmp_path, built(file), tokenizer_config=config)
        vocabulary = Vocabulary.load(tmp_path)
        assert vocabulary.prefix == prefix
        assert vocabulary.encode("") == prefix

    def test_in_front_by_several_steps(self, tmp_path: Path, built: Build) -> None:
        tokenizer = built("byte_level")
        template = processors.TemplateProcessing(
            single="<s> <|endoftext|> $A <s>", special_tokens=[("<s>", 1), ("<|endoftext|>", 0)]
        )
        tokenizer.post_processor = processors.Sequence([processors.ByteLevel(), template])
        write(tmp_path, tokenizer)
        assert Vocabulary.load(tmp_path).prefix == [1, 0]

    def test_the_one_the_user_types_is_not_merged_with_it(self, tmp_path: Path, built: Build) -> None:
        write(tmp_path, built("pattern"), tokenizer_config={"bos_token": "<s>"})
        assert Vocabulary.load(tmp_path).encode("<s>a")[:2] == [1, 1]

    @pytest.mark.parametrize(
        ("files", "bos_id", "eos_id"),
        [
            ({}, None, None),
            ({"tokenizer_config": {"bos_token": "<s>", "eos_token": "<|endoftext|>"}}, 1, 0),
            ({"special_tokens_map": {"bos_token": {"content": "<s>"}}}, 1, None),
            ({"tokenizer_config": {"bos_token": None}, "special_tokens_map": {"bos_token": "<s>"}}, 1, None),
            (
                {"tokenizer_config": {"added_tokens_decoder": {}}, "special_tokens_map": {"bos_token": "<s>"}},
                None,
                None,
            ),
            ({"config": {"model_type": "gpt2"}}, 0, 0),
            ({"config": {"model_type": "gpt2"}, "tokenizer_config": {"bos_token": None}}, None, 0),
            ({"tokenizer_config": {"tokenizer_class": "GPT2TokenizerFast"}}, 0, 0),
            ({"tokenizer_config": {"tokenizer_class": "LlamaForCausalLM"}}, None, None),
            ({"tokenizer_config": {"tokenizer_class": "Fast" * 5000}}, None, None),
            ({"tokenizer_config": {"tokenizer_class": ["GPT2Tokenizer"]}}, None, None),
            (
                {"config": {"model_type": "llama", "bos_token_id": 5}, "tokenizer_config": {"bos_token": "x" * 9}},
                None,
                None,
            ),
        ],
    )
    def test_roles(
        self, tmp_path: Path, built: Build, files: dict[str, Any], bos_id: int | None, eos_id: int | None
    ) -> None:
        write(tmp_path, built("byte_level"), **files)
        vocabulary = Vocabulary.load(tmp_path)
        assert (vocabulary.bos_id, vocabulary.eos_id) == (bos_id, eos_id)

    def test_a_token_with_a_role_is_a_mark(self, tmp_path: Path, built: Build) -> None:
        write(tmp_path, built("byte_level"), tokenizer_config={"image_token": "a", "pad_token": "b"})
        vocabulary = Vocabulary.load(tmp_path)
        assert [token.is_special for token in vocabulary.spell(vocabulary.encode("a;b"))] == [True, False, True]


class TestRefused:
    """Files that are no use, each named."""

    @pytest.mark.parametrize("file", ["tokenizer_config", "special_tokens_map"])
    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            ("", "can't be read"),
            ("{", "can't be read"),
            ("[" * 100_000, "can't be read"),
            ('{"a": ' * 50_000, "can't be read"),
            ("[]", "is not a JSON object but a list"),
            ('"x"', "is not a JSON object but a text"),
            ("7", "is not a JSON object but a number"),
            ({"bos_token": ["<s>"]}, "bos_token must be the name of a token, not a list"),
            ({"eos_token": 2}, "eos_token must be the name of a token, not a number"),
            ({"pad_token": {}}, "pad_token must be the name of a token, not an object without a name"),
            ({"pad_token": {"content": {"content": "<s>"}}}, "pad_token must be the name of a token"),
            ({"unk_token": {"content": None}}, "unk_token must be the name of a token"),
        ],
    )
    def test_beside_it(self, tmp_path: Path, built: Build, file: str, content: Any, reason: str) -> None:
        write(tmp_path, built("byte_level"), **{file: content})
        with pytest.raises(LoadFailed, match=rf"{file}\.json:? {reason}") as failed:
            Vocabulary.load(tmp_path)
        assert str(tmp_path) not in str(failed.value)
        assert len(str(failed.value)) < 300

    def test_a_flag_that_is_none(self, tmp_path: Path, built: Build) -> None:
        write(tmp_path, built("byte_level"), tokenizer_config={"add_bos_token": "yes"})
        with pytest.raises(
            LoadFailed, match=r"tokenizer_config\.json: add_bos_token must be true or false, not a text"
        ):
            Vocabulary.load(tmp_path)

    def test_bytes_that_are_no_text(self, tmp_path: Path, built: Build) -> None:
        write(tmp_path, built("byte_level"))
        (tmp_path / "tokenizer_config.json").write_bytes(b'{"bos_token": "\xff"}')
        with pytest.raises(LoadFailed, match=r"tokenizer_config\.json can't be read"):
            Vocabulary.load(tmp_path)

    def test_a_folder_or_a_dangling_link_by_its_name(self, tmp_path: Path) -> None:
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "tokenizer.json").mkdir()
        (tmp_path / "b").mkdir()
        (tmp_path / "b" / "tokenizer.json").symlink_to(tmp_path / "gone")
        for folder in (tmp_path / "a", tmp_path / "b"):
            with pytest.raises(LoadFailed, match=r"tokenizer\.json can't be read"):
                Vocabulary.load(folder)

    def test_ids_of_any_size_take_no_memory(self, tmp_path: Path, built: Build) -> None:
        described = json.loads(built("byte_level").to_str())
        described["model"]["vocab"]["zzz"] = 4_000_000_000
        (tmp_path / "tokenizer.json").write_text(json.dumps(described), encoding="utf-8")
        vocabulary = Vocabulary.load(tmp_path)
        assert vocabulary.size == 4_000_000_001
        assert vocabulary.token(3_000_000_000, []) == Token(3_000_000_000, b"", is_special=True)
        with pytest.raises(LoadFailed, match="more tokens than the model"):
            vocabulary.check_rows(50_000)


class TestRows:
    """A model with fewer rows of logits than its tokenizer has tokens, and with more."""

    def test_text_beyond_them_is_refused(self, tmp_path: Path, built: Build) -> None:
        write(tmp_path, built("byte_level"))
        vocabulary = Vocabulary.load(tmp_path)
        vocabulary.check_rows(vocabulary.size)
        vocabulary.check_rows(vocabulary.size + 500)
        with pytest.raises(LoadFailed, match=r"more tokens than the model: '.+' is 699, and the model has 699"):
            vocabulary.check_rows(vocabulary.size - 1)

    def test_so_is_text_added_later(self, tmp_path: Path, built: Build) -> None:
        tokenizer = built("byte_level")
        rows = tokenizer.get_vocab_size()
        tokenizer.add_tokens(["naïve café"])
        write(tmp_path, tokenizer)
        with pytest.raises(LoadFailed, match=f"'naïve café' is {rows}"):
            Vocabulary.load(tmp_path).check_rows(rows)

    def test_so_is_what_stands_in_front(self, tmp_path: Path, built: Build) -> None:
        tokenizer = built("byte_level")
        rows = tokenizer.get_vocab_size()
        tokenizer.add_special_tokens(["<|begin|>"])
        write(tmp_path, tokenizer, tokenizer_config={"bos_token": "<|begin|>", "add_bos_token": True})
        with pytest.raises(LoadFailed, match=rf"'<\|begin\|>' is {rows}"):
            Vocabulary.load(tmp_path).check_rows(rows)

    def test_a_mark_beyond_them_is_let_be(self, tmp_path: Path, built: Build) -> None:
        """As <image_soft_token> beside Gemma 3's model without images."""
        tokenizer = built("byte_level")
        rows = tokenizer.get_vocab_size()
        tokenizer.add_special_tokens(["<image_soft_token>"])
        write(tmp_path, tokenizer)
        vocabulary = Vocabulary.load(tmp_path)
        vocabulary.check_rows(rows)
        ids = vocabulary.encode("a<image_soft_token>b")
        assert max(ids) == rows
        assert vocabulary.beyond(ids, rows).startswith("holds <image_soft_token>, a special token")

    def test_ids_between_tokens_and_past_them_are_no_token(self, tmp_path: Path, built: Build) -> None:
        described = json.loads(built("byte_level").to_str())
        described["added_tokens"].append(described["added_tokens"][0] | {"id": 800, "content": "<|last|>"})
        described["model"]["vocab"]["<|last|>"] = 800
        (tmp_path / "tokenizer.json").write_text(json.dumps(described), encoding="utf-8")
        vocabulary = Vocabulary.load(tmp_path)
        assert vocabulary.token(800, []) == Token(800, b"<|last|>", is_special=True)
        for no_token in (700, 799, 801, 151_900):
            assert vocabulary.token(no_token, [5]) == Token(no_token, b"", is_special=True)
        named = [vocabulary.token(token_id, [5]) for token_id in range(700)]
        assert all(token.bytes for token in named)
