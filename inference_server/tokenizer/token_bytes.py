"""Decodes tokens one at a time and exactly to the byte.

A tokenizer's decoder works on whole texts and loses partial characters. Here each of its steps is a function of one
token's name and position, so that a token can be decoded without its neighbours. Bytes of partial characters pass
through str as surrogate escapes.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from tokenizers import Regex, decoders

Step = Callable[[str, bool], str]
"""Takes a name and whether it is the text's first; returns its text."""


class UnknownDecoder(ValueError):
    """A decoder step that can't be applied token by token; the message names it."""


class TextPosition(NamedTuple):
    """A token's position in its text, as far as decoding depends on it."""

    first: bool
    strip: int  # leading characters still to drop
    owed: str  # text that the previous token adds in front of this one


INSIDE = TextPosition(first=False, strip=0, owed="")
"""Where most tokens are."""


@dataclass(frozen=True, slots=True)
class ByteDecoder:
    """Steps on single names, and what applies to the whole text."""

    steps: tuple[Step, ...] = ()
    strip: int = 0
    strip_character: str = " "
    end_of_word: str = ""  # becomes a space in front of the next token
    first_differs: bool = False  # whether a step depends on the token being the first

    @property
    def start(self) -> TextPosition:
        return TextPosition(first=True, strip=self.strip, owed="")

    @property
    def elsewhere(self) -> list[TextPosition]:
        """The positions at which tokens are spelled differently than INSIDE a text."""
        found = [self.start] if self.first_differs or self.strip else []
        found += [TextPosition(first=False, strip=left, owed="") for left in range(1, self.strip)]
        return found + ([TextPosition(first=False, strip=0, owed=" ")] if self.end_of_word else [])

    def spell(self, name: str, position: TextPosition, *, added: bool) -> tuple[str, TextPosition]:
        """A token's text, and the next position. `added`: the name is plain text, not byte-level encoded."""
        text = name.removesuffix(self.end_of_word)
        for step in self.steps:
            if not (added and step is byte_level):
                text = step(text, position.first)
        cut = 0
        while cut < position.strip and text.startswith(self.strip_character, cut):
            cut += 1
        left = position.strip - cut if cut == len(text) else 0
        owed = " " if self.end_of_word and name.endswith(self.end_of_word) else ""
        return position.owed + text[cut:], TextPosition(first=False, strip=left, owed=owed)


def of_decoder(config: Mapping[str, Any] | None) -> ByteDecoder:
    """A decoder in tokenizer.json's format; None joins names with spaces. Raises UnknownDecoder."""
    if config is None:
        return ByteDecoder(steps=(spaced,), first_differs=True)
    steps: list[Step] = []
    whole = False
    strip = 0
    strip_character = " "
    end_of_word = ""
    first_differs = False
    for part in flat(config):
        kind = part["type"]
        first_differs = first_differs or kind == "WordPiece" or part.get("prepend_scheme", "never") != "never"
        if strip and kind != "Fuse":
            raise UnknownDecoder(f"{kind} after Strip on the whole text")
        if end_of_word and kind != "Fuse":
            raise UnknownDecoder(f"{kind} after BPEDecoder")
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
    return ByteDecoder(tuple(steps), strip, strip_character, end_of_word, first_differs)


def of_sentencepiece(*, prepends_space: bool) -> ByteDecoder:
    """SentencePiece's own decoding."""
    steps = (without_leading_space, replaced("▁", " "), byte_name)[0 if prepends_space else 1 :]
    return ByteDecoder(steps=steps, first_differs=prepends_space)


def flat(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The steps of nested sequences."""
    if config["type"] != "Sequence":
        return [config]
    return [part for inner in config["decoders"] for part in flat(inner)]


def acts_on_single_characters(part: Mapping[str, Any]) -> bool:
    """Whether a step on the whole text equals the step on each token, but for what bytes of several tokens spell."""
    return part["type"] == "Replace" and len(part["pattern"].get("String", "")) == 1


PRINTABLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
BYTE_OF_CHARACTER = {chr(byte): byte for byte in PRINTABLE} | {
    chr(0x100 + index): byte for index, byte in enumerate(sorted(set(range(0x100)) - set(PRINTABLE)))
}
"""GPT-2's byte-level alphabet: printable Latin-1 bytes stand for themselves, the others start at U+0100."""

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
"""WordPiece's clean-up of a token and the space before it."""


def escaped(raw: bytes) -> str:
    """Bytes as text, with invalid UTF-8 as surrogate escapes."""
    return raw.decode(errors="surrogateescape")


def byte_level(name: str, first: bool) -> str:
    """ByteLevel: one byte per character, if all are in the alphabet."""
    try:
        return escaped(bytes([BYTE_OF_CHARACTER[character] for character in name]))
    except KeyError:
        return name


def byte_name(name: str, first: bool) -> str:
    """ByteFallback: <0xE2> is the byte E2."""
    match = BYTE_NAME.fullmatch(name)
    return escaped(bytes.fromhex(match[1])) if match else name


def spaced(name: str, first: bool) -> str:
    """No decoder: names are joined with spaces."""
    return name if first else f" {name}"


def without_leading_space(name: str, first: bool) -> str:
    """SentencePiece: the first name's leading space is not part of the text."""
    return name.removeprefix("▁") if first else name


def replaced(old: str, new: str) -> Step:
    """Replaces a string."""
    return lambda name, first: name.replace(old, new)


def replace(part: Mapping[str, Any]) -> Step:
    """Replace, with a string or a regular expression."""
    content: str = part["content"]
    if "String" in part["pattern"]:
        return replaced(part["pattern"]["String"], content)
    decoder = decoders.Replace(Regex(part["pattern"]["Regex"]), content)  # not the syntax of re

    def step(name: str, first: bool) -> str:
        try:
            return decoder.decode([name])
        except UnicodeEncodeError:  # a partial character
            return name

    return step


def strip_each(part: Mapping[str, Any]) -> Step:
    """Strip on each name."""
    character: str = part["content"]

    def step(name: str, first: bool) -> str:
        for _ in range(part["start"]):
            name = name.removeprefix(character)
        for _ in range(part["stop"]):
            name = name.removesuffix(character)
        return name

    return step


def metaspace(part: Mapping[str, Any]) -> Step:
    """Metaspace: the replacement character is a space, or nothing at the start of a text that had one prepended."""
    character: str = part["replacement"]
    at_start = " " if part["prepend_scheme"] == "never" else ""
    return lambda name, first: name.replace(character, at_start if first else " ")


def wordpiece(part: Mapping[str, Any]) -> Step:
    """WordPiece: the prefix marks the continuation of a word."""
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
    "ByteLevel": lambda part: byte_level,
    "ByteFallback": lambda part: byte_name,
    "Replace": replace,
    "Strip": strip_each,
    "Metaspace": metaspace,
    "WordPiece": wordpiece,
}
