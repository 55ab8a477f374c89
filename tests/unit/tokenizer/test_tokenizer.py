"""What every tokenizer must keep: the tokens of a text, joined, are the text, whoever chose them and in what order."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models.scripts import CODE, CONTROLS, CORPUS, EMOJI, SCRIPTS
from models.tokenizer_variants import VARIANTS
from models.tokenizers import KINDS, build
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from inference_server.messages import Token
from inference_server.models import bundled
from inference_server.tokenizer.tokenizer import ModelTokenizer

TEXTS = {**SCRIPTS, "emoji": EMOJI, "controls": CONTROLS, "code": CODE, "none": "", "spaces": "   a  b \n c  "}
BUNDLED = bundled.FOLDER
EXACT = ("byte_bpe", "tiktoken", "bundled", "tiktoken_file_alone")

lenient = settings(deadline=None, max_examples=80)


@pytest.fixture(scope="module", params=[*KINDS, "bundled", *VARIANTS])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def folder(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if kind == "bundled":
        return BUNDLED
    path = tmp_path_factory.mktemp(kind)
    VARIANTS[kind](path) if kind in VARIANTS else build(kind, path)
    return path


@pytest.fixture(scope="module")
def vocabulary(folder: Path) -> ModelTokenizer:
    return ModelTokenizer.load(folder)


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Iterator[PreTrainedTokenizerBase]:
    """The judge: the tokenizer as transformers gives it to anyone."""
    return AutoTokenizer.from_pretrained(folder, local_files_only=True)


def joined(tokens: list[Token]) -> bytes:
    return b"".join(token.bytes for token in tokens if not token.is_special)


def decoded(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> str:
    return str(tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))


@pytest.mark.parametrize("name", TEXTS)
def test_ids_are_those_of_the_tokenizer_without_marks_behind(
    vocabulary: ModelTokenizer, tokenizer: PreTrainedTokenizerBase, kind: str, name: str
) -> None:
    text = TEXTS[name]
    ids = vocabulary.encode(text)
    eaten = kind == "sentencepiece_file_alone" and text.startswith(" ")  # transformers would lose a first blank here
    framed = tokenizer.encode(f" {text}" if eaten else text)
    assert framed[: len(ids)] == ids
    assert all(vocabulary.token(token_id, ids).is_special for token_id in framed[len(ids) :])
    assert len(framed) - len(ids) <= 2


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_becomes_ids_becomes_bytes_becomes_text(
    vocabulary: ModelTokenizer, tokenizer: PreTrainedTokenizerBase, name: str
) -> None:
    ids = vocabulary.encode(TEXTS[name])
    text = joined(vocabulary.spell(ids)).decode()
    assert text == vocabulary.decode(ids) == decoded(tokenizer, ids)


@pytest.mark.parametrize("name", TEXTS)
def test_appending_ids_one_at_a_time_ends_in_the_same_text(vocabulary: ModelTokenizer, name: str) -> None:
    ids = vocabulary.encode(TEXTS[name])
    tokens = [vocabulary.token(token_id, ids[:at]) for at, token_id in enumerate(ids)]
    assert tokens == vocabulary.spell(ids)


@lenient
@given(data=st.data())
def test_any_ids_at_all_spell_what_the_tokenizer_decodes(
    vocabulary: ModelTokenizer, tokenizer: PreTrainedTokenizerBase, data: st.DataObject
) -> None:
    ids = data.draw(st.lists(st.integers(0, vocabulary.size - 1), max_size=12))
    tokens = vocabulary.spell(ids)
    assert [token.token_id for token in tokens] == ids
    assert [vocabulary.token(token_id, ids[:at]) for at, token_id in enumerate(ids)] == tokens
    text = joined(tokens)
    assert vocabulary.decode(ids) == text.decode(errors="replace")
    if is_text(text):
        assert vocabulary.decode(ids) == decoded(tokenizer, ids)


@lenient
@given(text=st.text(max_size=60))
def test_random_text_spells_what_the_tokenizer_decodes(
    vocabulary: ModelTokenizer, tokenizer: PreTrainedTokenizerBase, kind: str, text: str
) -> None:
    ids = vocabulary.encode(text)
    assert vocabulary.decode(ids) == decoded(tokenizer, ids)
    if kind in EXACT:
        assert vocabulary.decode(ids) == text


def test_a_hundred_kilobytes(vocabulary: ModelTokenizer, tokenizer: PreTrainedTokenizerBase, kind: str) -> None:
    text = "\n".join(CORPUS) * (100_000 // len("\n".join(CORPUS).encode()) + 1)
    assert len(text.encode()) >= 100_000
    ids = vocabulary.encode(text)
    assert vocabulary.decode(ids) == decoded(tokenizer, ids)
    assert len(ids) > 4_000 or kind == "words"
    if kind in EXACT:
        assert vocabulary.decode(ids) == text
    follow = vocabulary.following(ids)
    last = [vocabulary.spell([*ids[-3:], token_id])[-1] for token_id in range(50)]
    assert [follow(token_id) for token_id in range(50)] == last


def test_special_tokens_are_marks_beside_the_text(
    vocabulary: ModelTokenizer, tokenizer: PreTrainedTokenizerBase
) -> None:
    marks = {
        name: index for name, index in tokenizer.get_vocab().items() if name in tokenizer.special_tokens_map.values()
    }
    assert marks
    ids = vocabulary.encode("the river")
    for name, mark in marks.items():
        assert vocabulary.token(mark, ids) == Token(mark, name.encode(), is_special=True)
        assert vocabulary.decode([mark, *ids, mark]) == vocabulary.decode(ids)


def test_ids_past_the_tokenizer_spell_nothing(vocabulary: ModelTokenizer) -> None:
    beyond = vocabulary.size + 7
    assert vocabulary.token(beyond, []) == Token(beyond, b"", is_special=True)
    ids = vocabulary.encode("the river")
    assert vocabulary.decode([beyond, *ids, beyond]) == vocabulary.decode(ids)


def is_text(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True
