"""A tokenizer's tokens in llguidance: their bytes, the marks of special ones, and how texts are written."""

from pathlib import Path

import llguidance
import pytest
from models.tokenizers import build

from inference_server.masks.vocabulary import Vocabulary, everywhere
from inference_server.models import bundled
from inference_server.tokenizer.token_bytes import INSIDE
from inference_server.tokenizer.tokenizer import ModelTokenizer

KINDS = ("byte_bpe", "sentencepiece_bpe", "wordpiece")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ModelTokenizer]:
    folders = {kind: tmp_path_factory.mktemp(kind) for kind in KINDS}
    for kind, folder in folders.items():
        build(kind, folder)
    return {kind: ModelTokenizer.load(folder) for kind, folder in folders.items()}


def test_it_is_what_the_library_reads_of_the_file() -> None:
    tokenizer = ModelTokenizer.load(bundled.FOLDER)
    own = llguidance.LLTokenizer(str(Path(bundled.FOLDER) / "tokenizer.json"))
    vocabulary = Vocabulary(tokenizer, [0], everywhere=False)
    ours = vocabulary.known
    assert (ours.vocab_size, ours.eos_tokens) == (own.vocab_size, [0])
    ids = range(tokenizer.size)
    assert [ours.decode_bytes([at]) for at in ids] == [own.decode_bytes([at]) for at in ids]
    assert [ours.is_special_token(at) for at in ids] == [own.is_special_token(at) for at in ids]
    for text in ("Tom had a big red dog.", " é\n\n  ok"):
        assert ours.tokenize_str(text) == own.tokenize_str(text)
    assert 0 not in ours.tokenize_str("<|endoftext|>")  # characters of a text, where the library's own is the token


@pytest.mark.parametrize("kind", KINDS)
def test_texts_are_written_to_the_byte(made: dict[str, ModelTokenizer], kind: str) -> None:
    vocabulary = Vocabulary(made[kind], [1], everywhere=False)
    for text in (" the river", "the  RIVER,", "ab"):
        ids = vocabulary.spell(text)
        assert b"".join(vocabulary.tokens[at] for at in ids) == text.encode() or kind == "wordpiece"


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_that_are_spelled_differently_first_are_there_twice(made: dict[str, ModelTokenizer], kind: str) -> None:
    tokenizer = made[kind]
    start = tokenizer.position_after(())
    assert everywhere(tokenizer, start) is (kind != "byte_bpe")
    assert not everywhere(tokenizer, INSIDE)
    vocabulary = Vocabulary(tokenizer, [1], everywhere=True)
    first, inside = tokenizer.following(()), tokenizer.following(tokenizer.encode("the river"))
    for at in range(tokenizer.size):
        if not first(at).is_special:
            assert vocabulary.tokens[vocabulary.id_at(at, start)] == first(at).bytes
            assert vocabulary.tokens[vocabulary.id_at(at, INSIDE)] == inside(at).bytes


def test_ends_and_ids_without_a_token_are_special(made: dict[str, ModelTokenizer]) -> None:
    size = made["byte_bpe"].size
    known = Vocabulary(made["byte_bpe"], [5, size + 2], everywhere=False).known  # which is all that is asked of it
    assert known.eos_tokens == [5, size + 2]
    assert known.is_special_token(5)
    assert known.vocab_size == size + 3
