"""Text after other tokens: nothing is put in front of it and nothing is lost, whatever a tokenizer does to a text's
beginning; the reference is the whole text, as the tokenizers library encodes it."""

import re
from pathlib import Path

import pytest
from models.tokenizer_files import FILES, built, write
from models.tokenizer_variants import VARIANTS
from models.tokenizers import build
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

from inference_server.errors import InvalidField
from inference_server.tokenizer import continuation
from inference_server.tokenizer.tokenizer import ModelTokenizer

WORDS = ("byte_level", "digits", "pattern", "sentencepiece_bpe", "gemma", "gpt_sw3")
"""Those whose tokens never hold the end of one word and the beginning of the next."""
BLANKS = ("prepended", "as_it_is", "metaspace_always", "metaspace_first", "metaspace_never")
TEXTS = [
    "the river flows through the old town and into the sea, as it always did",
    "  two spaces, then one; and the rest of the line",
    "tabs\tand\n\nlines \n",
]
WORD = re.compile(r"(?<=[a-z])(?= [a-z])")


@pytest.fixture(scope="module", params=[*WORDS, *BLANKS])
def named(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ModelTokenizer]:
    folder = tmp_path_factory.mktemp(request.param)
    if request.param in FILES:
        write(folder, built(request.param))
    elif request.param in VARIANTS:
        VARIANTS[request.param](folder)
    else:
        build(request.param, folder)
    return request.param, ModelTokenizer.load(folder)


@pytest.fixture
def tokenizer(named: tuple[str, ModelTokenizer]) -> ModelTokenizer:
    return named[1]


def test_a_text_cut_between_words_has_the_ids_of_the_whole(named: tuple[str, ModelTokenizer]) -> None:
    name, tokenizer = named
    if name not in WORDS:
        return
    cuts = [(text, match.start()) for text in TEXTS for match in WORD.finditer(text)]
    assert len(cuts) > 15
    for text, at in cuts:
        assert tokenizer.encode_parts([tokenizer.encode(text[:at]), text[at:]]) == tokenizer.encode(text)


def test_a_text_cut_anywhere_keeps_its_ids_and_spells_the_same(tokenizer: ModelTokenizer) -> None:
    known = {sign for sign in "".join(TEXTS) if tokenizer.decode(tokenizer.encode(f"e{sign}a")) == f"e{sign}a"}
    assert known > set("the and")
    for line in TEXTS:
        text = "".join(filter(known.__contains__, line))
        for at in range(1, len(text)):
            before = tokenizer.encode(text[:at])
            ids = tokenizer.encode_parts([before, text[at:]])
            assert ids[: len(before)] == before
            assert tokenizer.decode(ids) == tokenizer.decode(before) + text[at:]


def test_only_a_first_text_begins_the_prompt(tokenizer: ModelTokenizer) -> None:
    whole = tokenizer.encode("the river")
    assert tokenizer.encode_parts(["the river"]) == whole
    assert tokenizer.encode_parts(["the river", [5, 3]]) == [*whole, 5, 3]
    assert tokenizer.encode_parts([tokenizer.prefix, " a"]) == tokenizer.prefix + tokenizer.encode_parts([[], " a"])
    assert not set(tokenizer.encode_parts([[], "the river"])) & set(tokenizer.prefix)
    assert tokenizer.encode_parts([[7], "", [9]]) == [7, 9]


def test_the_name_of_a_special_token_is_read_after_other_tokens_too(tmp_path: Path) -> None:
    write(tmp_path, built("prepended"))
    tokenizer = ModelTokenizer.load(tmp_path)
    end = tokenizer.encode("</s>")[-1]
    assert tokenizer.encode_parts([[9], "the</s>river"]).count(end) == 1


def test_added_tokens_keep_their_ids() -> None:
    plain = built("byte_level")
    assert continuation.of(plain) is plain
    changed = built("prepended")
    changed.add_tokens([AddedToken("river", normalized=False)])
    changed.add_special_tokens(["<|role|>"])
    after = continuation.of(changed)
    assert after.get_added_tokens_decoder() == changed.get_added_tokens_decoder()
    assert after.encode("a river<|role|>").tokens[-2:] == ["river", "<|role|>"]


def test_what_concerns_the_beginning_is_left_out() -> None:
    steps = [normalizers.Strip(), normalizers.Prepend("▁"), normalizers.NFC()]
    backend = Tokenizer(models.WordLevel({}))
    backend.normalizer = normalizers.Sequence(steps)
    backend.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Metaspace(), pre_tokenizers.ByteLevel()])
    after = continuation.parts_of(continuation.of(backend))
    assert [step["type"] for step in after["normalizer"]["normalizers"]] == ["Strip", "NFC"]
    assert (
        after["normalizer"]["normalizers"][0]["strip_left"],
        after["normalizer"]["normalizers"][0]["strip_right"],
    ) == (
        False,
        True,
    )
    metaspace, bytes_ = after["pre_tokenizer"]["pretokenizers"]
    assert (metaspace["prepend_scheme"], bytes_["add_prefix_space"]) == ("never", False)


def test_an_unknown_encoding_is_tried_after_characters_that_it_splits_off() -> None:
    def merges_letters(text: str) -> list[int]:
        words = re.findall(r"[a-z\n]+|.", text, re.DOTALL)
        return [0, *map(hash, words)]

    assert continuation.anchored(merges_letters)("up.") == [hash("up"), hash(".")]
    assert continuation.anchored(merges_letters)("") == []
    with pytest.raises(InvalidField, match=r"parts: .* send token_ids"):
        continuation.anchored(lambda text: [hash(text)])("up")
