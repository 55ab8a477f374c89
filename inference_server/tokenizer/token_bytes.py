"""How a tokenizer's decoder turns the names of tokens into text, kept exact to the byte and done one token at a time.

A decoder joins all names and then makes text of them, losing half characters on the way. Here each of its steps is a
function of one name and of its place in the text, so that a token can be spelled before its neighbours are known.
Bytes that are no character by themselves travel through str as surrogate escapes. Knows no tokenizer.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from tokenizers import Regex, decoders

Step = Callable[[str, bool], str]
"""From a name, and whether it is the first of the text, to what it spells."""


class UnknownDecoder(ValueError):
    """The decoder has a step that can't be done one token at a time; the message names it."""


class TextPosition(NamedTuple):
    """Where in a text a token stands, as far as its spelling depends on it."""

    first: bool
    strip: int  # how many more leading characters the decoder drops
    owed: str  # what the token before left to be put in front of this one


INSIDE = TextPosition(first=False, strip=0, owed="")
"""Well inside a text, where most tokens stand."""


@dataclass(frozen=True, slots=True)
class ByteDecoder:
    """A decoder as steps on one name, and what is done to the text as a whole."""

    steps: tuple[Step, ...] = ()
    strip: int = 0
    strip_character: str = " "
    end_of_word: str = ""  # a name that ends so owes a space to the next

    @property
    def start(self) -> TextPosition:
        """The place of a text's first token."""
        return TextPosition(first=True, strip=self.strip, owed="")

    def spell(self, name: str, place: TextPosition, *, added: bool) -> tuple[str, TextPosition]:
        """The text of a token at a place, and the place after it.

        `added` says that the name is text taken in beside the model's own alphabet, which is not written in byte signs.
        """
        text = name.removesuffix(self.end_of_word)
        for step in self.steps:
            if not (added and step is byte_signs):
                text = step(text, place.first)
        cut = 0
        while cut < place.strip and text.startswith(self.strip_character, cut):
            cut += 1
        left = place.strip - cut if cut == len(text) else 0
        owed = " " if self.end_of_word and name.endswith(self.end_of_word) else ""
        return place.owed + text[cut:], TextPosition(first=False, strip=left, owed=owed)


def of_decoder(config: Mapping[str, Any] | None) -> ByteDecoder:
    """The spelling of a decoder given as tokenizer.json describes it; without one, names are joined by spaces.

    Raises UnknownDecoder.
    """
    if config is None:
        return ByteDecoder(steps=(spaced,))
    steps: list[Step] = []
    whole = False
    strip = 0
    strip_character = " "
    end_of_word = ""
    for part in flat(config):
        kind = part["type"]
        if strip and kind != "Fuse":
            raise UnknownDecoder(f"{kind} after a Strip of the whole text")
        if end_of_word and kind != "Fuse":
            raise UnknownDecoder(f"{kind} after the spaces that BPEDecoder puts between words")
        if kind == "Fuse":
            whole = True
        elif kind == "Strip" and whole:
            if part["stop"]:
                raise UnknownDecoder("Strip at the end of the whole text")
            strip, strip_character = part["start"], part["content"]
        elif kind == "BPEDecoder" and not steps and not whole:
            end_of_word = part["suffix"]
        elif kind in STEPS and not (whole and not acts_on_single_characters(part)):
            steps.append(STEPS[kind](part))
            whole = whole or kind == "ByteLevel"  # it joins the names
        else:
            raise UnknownDecoder(f"{kind} on the whole text" if whole else kind)
    return ByteDecoder(tuple(steps), strip, strip_character, end_of_word)


def of_sentencepiece(*, space_in_front: bool) -> ByteDecoder:
    """SentencePiece's own spelling; `space_in_front` says that it puts a space before every text and takes it away."""
    return ByteDecoder(steps=(without_sign, in_place_of("▁", " "), byte_name)[0 if space_in_front else 1 :])


def flat(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The parts of a decoder, sequences opened."""
    if config["type"] != "Sequence":
        return [config]
    return [part for inner in config["decoders"] for part in flat(inner)]


def acts_on_single_characters(part: Mapping[str, Any]) -> bool:
    """Whether a step does the same to a whole text as to its tokens one by one."""
    return part["type"] == "Replace" and len(part["pattern"].get("String", "")) == 1


SIGNS_OF_THEMSELVES = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
BYTE_OF_SIGN = {chr(byte): byte for byte in SIGNS_OF_THEMSELVES} | {
    chr(0x100 + index): byte for index, byte in enumerate(sorted(set(range(0x100)) - set(SIGNS_OF_THEMSELVES)))
}
"""Byte-level names write every byte as one printable character: printable Latin-1 as itself, the rest from U+0100."""

BYTE_NAME = re.compile("<0x([0-9A-Fa-f]{2})>")

CLEANED = (
    (" .", "."),
    (" ?", "?"),
    (" !", "!"),
    (" ,", ","),
    (" ' ", "'"),
    (" n't", "n't"),
    (" 'm", "'m"),
    (" do not", " don't"),
    (" 's", "'s"),
    (" 've", "'ve"),
    (" 're", "'re"),
)
"""What WordPiece's clean-up makes of a token and the space in front of it."""


def escaped(raw: bytes) -> str:
    """Bytes as text, those that form no character as surrogate escapes."""
    return raw.decode(errors="surrogateescape")


def byte_signs(name: str, first: bool) -> str:
    """ByteLevel: every sign a byte, unless some character is no such sign."""
    try:
        return escaped(bytes([BYTE_OF_SIGN[sign] for sign in name]))
    except KeyError:
        return name


def byte_name(name: str, first: bool) -> str:
    """ByteFallback: <0xE2> is the byte."""
    match = BYTE_NAME.fullmatch(name)
    return escaped(bytes.fromhex(match[1])) if match else name


def spaced(name: str, first: bool) -> str:
    """No decoder: spaces between names."""
    return name if first else f" {name}"


def without_sign(name: str, first: bool) -> str:
    """SentencePiece: the sign of a space in front of the first name is none of the text."""
    return name.removeprefix("▁") if first else name


def in_place_of(old: str, new: str) -> Step:
    """One string by another."""
    return lambda name, first: name.replace(old, new)


def replace(part: Mapping[str, Any]) -> Step:
    """Replace: one string, or whatever a regular expression matches, by another."""
    content: str = part["content"]
    if "String" in part["pattern"]:
        return in_place_of(part["pattern"]["String"], content)
    decoder = decoders.Replace(Regex(part["pattern"]["Regex"]), content)  # its dialect is not that of re

    def step(name: str, first: bool) -> str:
        try:
            return decoder.decode([name])
        except UnicodeEncodeError:  # half a character matches nothing
            return name

    return step


def strip_each(part: Mapping[str, Any]) -> Step:
    """Strip before the names are joined: so many of a character from either end of each."""
    character: str = part["content"]

    def step(name: str, first: bool) -> str:
        for _ in range(part["start"]):
            name = name.removeprefix(character)
        for _ in range(part["stop"]):
            name = name.removesuffix(character)
        return name

    return step


def metaspace(part: Mapping[str, Any]) -> Step:
    """Metaspace: its sign is a space, but none in the first name where one is put in front of every text."""
    sign: str = part["replacement"]
    at_start = " " if part["prepend_scheme"] == "never" else ""
    return lambda name, first: name.replace(sign, at_start if first else " ")


def wordpiece(part: Mapping[str, Any]) -> Step:
    """WordPiece: a name with the prefix goes on with the word, any other begins one; then the clean-up."""
    prefix: str = part["prefix"]
    cleaned = CLEANED if part["cleanup"] else ()

    def step(name: str, first: bool) -> str:
        if not first:
            name = name.removeprefix(prefix) if name.startswith(prefix) else f" {name}"
        for old, new in cleaned:
            name = name.replace(old, new)
        return name

    return step


STEPS: dict[str, Callable[[Mapping[str, Any]], Step]] = {
    "ByteLevel": lambda part: byte_signs,
    "ByteFallback": lambda part: byte_name,
    "Replace": replace,
    "Strip": strip_each,
    "Metaspace": metaspace,
    "WordPiece": wordpiece,
}
