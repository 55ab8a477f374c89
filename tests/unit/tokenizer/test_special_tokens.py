"""What the files beside a tokenizer.json add to it, and how those that are no use are refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from models.tokenizer_files import built, write
from tokenizers import processors

from inference_server.errors import LoadFailed
from inference_server.messages import Token
from inference_server.tokenizer.tokenizer import ModelTokenizer


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
    def test_in_front(self, tmp_path: Path, file: str, config: dict[str, Any], prefix: list[int]) -> None:
        write(tmp_path, built(file), tokenizer_config=config)
        vocabulary = ModelTokenizer.load(tmp_path)
        assert vocabulary.prefix == prefix
        assert vocabulary.encode("") == prefix

    def test_in_front_by_several_steps(self, tmp_path: Path) -> None:
        tokenizer = built("byte_level")
        template = processors.TemplateProcessing(
            single="<s> <|endoftext|> $A <s>", special_tokens=[("<s>", 1), ("<|endoftext|>", 0)]
        )
        tokenizer.post_processor = processors.Sequence([processors.ByteLevel(), template])
        write(tmp_path, tokenizer)
        assert ModelTokenizer.load(tmp_path).prefix == [1, 0]

    def test_the_one_the_user_types_is_not_merged_with_it(self, tmp_path: Path) -> None:
        write(tmp_path, built("pattern"), tokenizer_config={"bos_token": "<s>"})
        assert ModelTokenizer.load(tmp_path).encode("<s>a")[:2] == [1, 1]

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
    def test_roles(self, tmp_path: Path, files: dict[str, Any], bos_id: int | None, eos_id: int | None) -> None:
        write(tmp_path, built("byte_level"), **files)
        vocabulary = ModelTokenizer.load(tmp_path)
        assert (vocabulary.bos_id, vocabulary.eos_id) == (bos_id, eos_id)

    def test_a_token_with_a_role_is_a_mark(self, tmp_path: Path) -> None:
        write(tmp_path, built("byte_level"), tokenizer_config={"image_token": "a", "pad_token": "b"})
        vocabulary = ModelTokenizer.load(tmp_path)
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
            ("[]", "is not a JSON object"),
            ('"x"', "is not a JSON object"),
            ("7", "is not a JSON object"),
            ({"bos_token": ["<s>"]}, "bos_token must be a token's name, not a list"),
            ({"eos_token": 2}, "eos_token must be a token's name, not a number"),
            ({"pad_token": {}}, "pad_token must be a token's name, not an object without content"),
            ({"pad_token": {"content": {"content": "<s>"}}}, "pad_token must be a token's name"),
            ({"unk_token": {"content": None}}, "unk_token must be a token's name"),
        ],
    )
    def test_beside_it(self, tmp_path: Path, file: str, content: Any, reason: str) -> None:
        write(tmp_path, built("byte_level"), **{file: content})
        with pytest.raises(LoadFailed, match=rf"{file}\.json:? {reason}") as failed:
            ModelTokenizer.load(tmp_path)
        assert str(tmp_path) not in str(failed.value)
        assert len(str(failed.value)) < 300

    def test_a_flag_that_is_none(self, tmp_path: Path) -> None:
        write(tmp_path, built("byte_level"), tokenizer_config={"add_bos_token": "yes"})
        with pytest.raises(
            LoadFailed, match=r"tokenizer_config\.json: add_bos_token must be true or false, not a string"
        ):
            ModelTokenizer.load(tmp_path)

    def test_bytes_that_are_no_text(self, tmp_path: Path) -> None:
        write(tmp_path, built("byte_level"))
        (tmp_path / "tokenizer_config.json").write_bytes(b'{"bos_token": "\xff"}')
        with pytest.raises(LoadFailed, match=r"tokenizer_config\.json can't be read"):
            ModelTokenizer.load(tmp_path)

    def test_a_folder_or_a_dangling_link_by_its_name(self, tmp_path: Path) -> None:
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "tokenizer.json").mkdir()
        (tmp_path / "b").mkdir()
        (tmp_path / "b" / "tokenizer.json").symlink_to(tmp_path / "gone")
        for folder in (tmp_path / "a", tmp_path / "b"):
            with pytest.raises(LoadFailed, match=r"tokenizer\.json can't be read"):
                ModelTokenizer.load(folder)

    def test_ids_of_any_size_take_no_memory(self, tmp_path: Path) -> None:
        described = json.loads(built("byte_level").to_str())
        described["model"]["vocab"]["zzz"] = 4_000_000_000
        (tmp_path / "tokenizer.json").write_text(json.dumps(described), encoding="utf-8")
        vocabulary = ModelTokenizer.load(tmp_path)
        assert vocabulary.size == 4_000_000_001
        assert vocabulary.token(3_000_000_000, []) == Token(3_000_000_000, b"", is_special=True)
        with pytest.raises(LoadFailed, match="more tokens than the model"):
            vocabulary.check_rows(50_000)
