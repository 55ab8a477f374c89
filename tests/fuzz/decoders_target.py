"""Fuzzes the spelling of tokens: any decoder that is followed token by token must say what its own library says."""

import json
from typing import Any

from tokenizers import Regex
from tokenizers import decoders as library

from fuzz.data import Data
from inference_server.tokenizer import token_bytes

PIECES = ("", "a", "▁", "Ġ", " ", "##", "</w>", "é", "<0xE2>", "<0x82>", "<0xAC>", "<0x41>", "Ã", "©", "'s", ".", "n't")
STRINGS = ("▁", " ", "a", "##", "Ġ", "</w>")


def decoders(data: bytes) -> None:
    """Names spelled one by one, joined, are the text; where the bytes are half a character the library loses them."""
    choices = Data(data)
    parts = [part(choices) for _ in choices.some(4)]
    if {library.ByteLevel, library.ByteFallback} <= {type(each) for each in parts}:
        return  # two ways to write a byte: the library loses halves that could still meet
    decoder = library.Sequence(parts) if len(parts) != 1 else parts[0]
    names = ["".join(choices.choice(PIECES) for _ in choices.some(4)) for _ in choices.some(6)]
    try:
        rules = token_bytes.of_decoder(json.loads(decoder.__getstate__()))
    except token_bytes.UnknownDecoder:
        return
    if any(rules.end_of_word in name.removesuffix(rules.end_of_word) for name in names if rules.end_of_word):
        return  # no vocabulary has names that go on after the end of a word
    place, said = rules.start, ""
    for name in names:
        text, place = rules.spell(name, place, added=False)
        said += text
    try:
        whole = said.encode(errors="surrogateescape").decode()
    except UnicodeDecodeError:
        return
    try:
        expected = decoder.decode(names)
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # of the library's own, at a Strip longer than its name
            raise
        return
    assert whole == expected, (decoder.__getstate__(), names)


def part(choices: Data) -> Any:
    """One step of a decoder."""
    kind = choices.byte() % 9
    content, other = choices.choice(STRINGS), choices.choice(STRINGS)
    match kind:
        case 0:
            return library.ByteLevel()
        case 1:
            return library.ByteFallback()
        case 2:
            return library.Fuse()
        case 3:
            return library.Strip(content=content[0], left=choices.byte() % 3, right=choices.byte() % 3)
        case 4:
            return library.Metaspace(prepend_scheme=choices.choice(("always", "never", "first")))
        case 5:
            return library.WordPiece(prefix=content, cleanup=bool(choices.byte() % 2))
        case 6:
            return library.BPEDecoder(suffix=content)
        case 7:
            return library.Replace(Regex("[a ]+"), other)
        case _:
            return library.Replace(content, other)
