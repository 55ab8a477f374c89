"""Token by token, a decoder's spelling is what the tokenizers library makes of all the names at once."""

import json

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tokenizers import Regex, decoders

from inference_server.tokenizer.token_bytes import UnknownDecoder, of_decoder

FOLLOWED = [
    decoders.ByteLevel(),
    decoders.Fuse(),
    decoders.ByteFallback(),
    decoders.Metaspace(),
    decoders.Metaspace(prepend_scheme="first"),
    decoders.Metaspace(prepend_scheme="never"),
    decoders.Metaspace(replacement="a"),
    decoders.WordPiece(),
    decoders.WordPiece(prefix="a", cleanup=False),
    decoders.BPEDecoder(),
    decoders.Strip("▁", 2, 0),
    decoders.Strip("b", 0, 1),
    decoders.Replace("▁", " "),
    decoders.Replace(Regex("[a-c]+"), "<>"),
    decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]),
    decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    ),
    decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(" ", 3, 0), decoders.Fuse()]),
    LATE := decoders.Sequence([decoders.ByteFallback(), decoders.Fuse(), decoders.Replace("▁", " ")]),
    decoders.Sequence([decoders.Sequence([decoders.Strip("▁", 2, 0)]), decoders.WordPiece()]),
    decoders.Sequence([decoders.Metaspace(), decoders.ByteFallback(), decoders.Fuse()]),
    decoders.Sequence([decoders.ByteFallback(), decoders.Replace(Regex("a"), "b")]),
]
SPELLED = "<0xE2><0x96><0x81>"  # ▁
REFUSED = [
    (decoders.CTC(), "CTC"),
    (decoders.Sequence([decoders.Fuse(), decoders.Metaspace()]), "Metaspace on the whole text"),
    (decoders.Sequence([decoders.Fuse(), decoders.Replace("ab", "c")]), "Replace on the whole text"),
    (decoders.Sequence([decoders.Fuse(), decoders.Strip(" ", 0, 1)]), "Strip at the end of the whole text"),
    (
        decoders.Sequence([decoders.Fuse(), decoders.Strip(" ", 1, 0), decoders.Replace("a", "b")]),
        "Replace after Strip",
    ),
    (decoders.Sequence([decoders.ByteLevel(), decoders.BPEDecoder()]), "BPEDecoder"),
]

fragments = st.sampled_from(
    [
        "▁",
        "▁▁",
        " ",
        "a",
        "b",
        "##",
        "Ġ",
        "é",
        "Ã",
        "©",
        "狗",
        ".",
        " .",
        "?",
        "!",
        ",",
        "'",
        "n't",
        "'s",
        " do not",
        "\n",
    ]
)
names = (
    st.lists(fragments, min_size=1, max_size=3).map("".join)
    | st.sampled_from(
        ["<0xE2>", "<0x96>", "<0x81>", "<0x20>", "<0x61>", "<0xe3>", "<0x0A>", "<0x1>", "the</w>", "a</w>"]
    )
    | st.text(min_size=1, max_size=4)
)


def spelled(decoder: decoders.Decoder | None, parts: list[str]) -> bytes:
    spelling = of_decoder(json.loads(decoder.__getstate__()) if decoder else None)
    place = spelling.start
    text = ""
    for name in parts:
        more, place = spelling.spell(name, place, added=False)
        text += more
    return text.encode(errors="surrogateescape")


@pytest.mark.parametrize("decoder", FOLLOWED, ids=str)
@settings(deadline=None, max_examples=150)
@given(parts=st.lists(names, max_size=7))
def test_a_decoder_is_followed_to_the_byte(decoder: decoders.Decoder, parts: list[str]) -> None:
    assume(decoder is not LATE or SPELLED not in "".join(parts))
    raw = spelled(decoder, parts)
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        assume(False)
    assert text == decoder.decode(parts)


def test_what_bytes_of_several_tokens_spell_is_not_replaced() -> None:
    """The first of them can't know what the last will make of it; encoding a text never gives these."""
    assert spelled(LATE, ["▁a", "<0xE2>", "<0x96>", "<0x81>"]) == " a▁".encode()


def test_without_a_decoder_names_stand_apart() -> None:
    assert spelled(None, ["a", "b", "##c"]) == b"a b ##c"


@pytest.mark.parametrize(("decoder", "step"), REFUSED, ids=str)
def test_a_step_on_the_whole_text_is_refused_by_name(decoder: decoders.Decoder, step: str) -> None:
    with pytest.raises(UnknownDecoder, match=step):
        of_decoder(json.loads(decoder.__getstate__()))


def test_added_text_is_not_read_as_byte_signs() -> None:
    spelling = of_decoder(json.loads(decoders.ByteLevel().__getstate__()))
    assert spelling.spell("é", spelling.start, added=True)[0] == "é"
    assert spelling.spell("Ã©", spelling.start, added=False)[0] == "é"
