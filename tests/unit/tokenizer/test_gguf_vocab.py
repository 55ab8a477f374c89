"""Tokenizers out of GGUF metadata: the ids of published tokenizer.json files, and of SentencePiece itself."""

import json
from array import array
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
from models.scripts import TEXTS
from models.tokenizers import build
from published import MODEL, folder
from tokenizers import Tokenizer

from inference_server.errors import LoadFailed
from inference_server.models import gguf_header
from inference_server.models.gguf_header import Header
from inference_server.tokenizer import gguf_vocab
from inference_server.tokenizer.gguf_vocab import BYTE, CONTROL, NORMAL, UNKNOWN, UNUSED, USER_DEFINED
from inference_server.tokenizer.tokenizer import ModelTokenizer

MORE = ["  two\n\n\n   and\t\ttabs", "12345 3.14 it's I'LL", " a", "<|im_start|>user\nhi<|im_end|>", "<b>x</b> <unk>"]
SPLIT = {"gpt4o": "gpt-4o", "llama3": "llama-bpe", "qwen3": "qwen2", "gemma3": "default"}
KEY = "tokenizer.ggml"


def header(architecture: str = "llama", **metadata: Any) -> Header:
    named = {f"{KEY}.{name}": value for name, value in metadata.items()}
    return Header(Path("some.gguf"), {"general.architecture": architecture, **named}, {})


def converted(name: str) -> Header:
    """What a converter writes of a published tokenizer.json."""
    described = json.loads((folder(f"tokenizers/{name}") / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary, pieces = described["model"]["vocab"], name == "gemma3"
    size = 1 + max(*vocabulary.values(), *(token["id"] for token in described["added_tokens"]))
    names, types = [f"[PAD{index}]" for index in range(size)], [UNUSED] * size
    for token, index in vocabulary.items():
        names[index], types[index] = token, BYTE if pieces and token[:3] == "<0x" and len(token) == 6 else NORMAL
    for token in described["added_tokens"]:
        index = token["id"]
        names[index], types[index] = token["content"], CONTROL if token["special"] else USER_DEFINED
    tokens: dict[str, Any] = {"tokens": names, "pre": SPLIT[name]}
    if not pieces:
        merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in described["model"]["merges"]]
        return header(**tokens, model="gpt2", merges=merges, token_type=array("i", types))
    tokens["tokens"] = [token.replace("▁", " ") if types[i] == USER_DEFINED else token for i, token in enumerate(names)]
    types[names.index("<unk>")] = UNKNOWN
    scores = array("f", [-1000.0 if kind == USER_DEFINED else -index for index, kind in enumerate(types)])
    return header(
        "gemma3", **tokens, model="llama", scores=scores, token_type=array("i", types), bos_token_id=2,
        add_space_prefix=False,
    )  # fmt: skip


def read(described: dict[str, str], path: Path) -> ModelTokenizer:
    for name, content in described.items():
        (path / name).write_text(content, encoding="utf-8")
    return ModelTokenizer.load(path)


def test_the_published_file_has_the_ids_of_its_tokenizer(tmp_path: Path) -> None:
    files = folder(MODEL)
    found = gguf_header.read(files.parent / f"{MODEL}.Q4_1.gguf")
    described = gguf_vocab.describe(found)
    ours, own = read(described, tmp_path), Tokenizer.from_file(str(files / "tokenizer.json"))
    for text in [*TEXTS, *MORE]:
        assert ours.encode(text) == own.encode(text).ids
    theirs = ModelTokenizer.load(files)
    assert (ours.bos_id, ours.eos_id, ours.prefix, ours.size) == (
        theirs.bos_id,
        theirs.eos_id,
        theirs.prefix,
        theirs.size,
    )
    ids = own.encode(TEXTS[0]).ids
    assert ours.spell(ids) == theirs.spell(ids)
    assert "messages" in json.loads(described["tokenizer_config.json"])["chat_template"]
    assert json.loads(described["generation_config.json"]) == {"eos_token_id": [2]}


@pytest.mark.parametrize("name", SPLIT)
def test_published_vocabularies_keep_their_ids(name: str, tmp_path: Path) -> None:
    own = Tokenizer.from_file(str(folder(f"tokenizers/{name}") / "tokenizer.json"))
    ours = read(gguf_vocab.describe(converted(name)), tmp_path)
    for text in [*TEXTS, *MORE]:
        assert ours.encode(text) == [*ours.prefix, *own.encode(text, add_special_tokens=False).ids]
    assert ours.prefix == ([2] if name == "gemma3" else [])


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> sentencepiece.SentencePieceProcessor:
    files = tmp_path_factory.mktemp("pieces")
    build("sentencepiece_bpe", files)
    return sentencepiece.SentencePieceProcessor(model_file=str(files / "tokenizer.model"))


def of_pieces(source: sentencepiece.SentencePieceProcessor, **changes: Any) -> Header:
    def kind(index: int) -> int:
        if source.is_unknown(index):
            return UNKNOWN
        return CONTROL if source.is_control(index) else BYTE if source.is_byte(index) else NORMAL

    every = range(len(source))
    tokens: dict[str, Any] = {
        "model": "llama",
        "tokens": [source.id_to_piece(index) for index in every],
        "scores": array("f", [source.get_score(index) for index in every]),
        "token_type": array("i", map(kind, every)),
        "bos_token_id": source.bos_id(),
        "eos_token_id": source.eos_id(),
    }
    return header(**tokens | changes)


def test_pieces_have_the_ids_of_sentencepiece(pieces: sentencepiece.SentencePieceProcessor, tmp_path: Path) -> None:
    ours = read(gguf_vocab.describe(of_pieces(pieces)), tmp_path)
    assert ours.prefix == [pieces.bos_id()]
    for text in [*TEXTS[:3], "  two spaces", "a  b", "Tom and the dog 12", "naïve 東京 🎉"]:
        if "<" not in text:
            assert ours.encode(text)[1:] == pieces.encode(text)
            assert ours.decode(ours.encode(text)) == text


def test_the_files_flag_decides_what_goes_in_front(
    pieces: sentencepiece.SentencePieceProcessor, tmp_path: Path
) -> None:
    silent = read(gguf_vocab.describe(of_pieces(pieces, add_bos_token=False)), tmp_path)
    assert silent.prefix == []
    assert silent.bos_id == pieces.bos_id()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tokens": []}, "no tokenizer"),
        ({"model": "rwkv"}, "of kind 'rwkv'"),
        ({"model": "gpt2", "pre": "from-mars"}, "splits text as 'from-mars'"),
        ({"model": "gpt2"}, "does not say how"),
        ({"model": "gpt2", "pre": "default"}, "does not say how"),
        ({"model": "gpt2", "pre": "gpt-2"}, "merges is missing"),
        ({"model": "gpt2", "pre": "gpt-2", "merges": ["a b c"]}, "merges is missing"),
        ({"token_type": array("i", [1])}, "different lengths"),
        ({"scores": array("f", [1])}, "different lengths"),
        ({"bos_token_id": 10**6}, "bos_token_id is 1,000,000"),
        ({"bos_token_id": "one"}, "bos_token_id is not a number"),
        ({"remove_extra_whitespaces": True}, "removes extra spaces"),
        ({"tokens": ["a", "a"], "token_type": array("i", [1, 1])}, "a token twice"),
    ],
)
def test_what_cannot_be_read_truly_is_refused(
    pieces: sentencepiece.SentencePieceProcessor, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(LoadFailed, match=rf"some\.gguf: .*{words}"):
        gguf_vocab.describe(of_pieces(pieces, **changes))
