"""A prompt's tokens as parts that people speak of: tokens, words, sentences. Knows no model.

Parts are runs of whole tokens. Tokens that share a character stay together, and a special token is always a part of
its own.
"""

import codecs
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from inference_server.messages import Token

Span = tuple[int, int]
"""The first token of a part, and the one after its last."""

ENDS = frozenset(".!?…")  # of a sentence, if a blank follows
WIDE_ENDS = frozenset("。！？．｡")  # of a sentence, whatever follows
CLOSING = "\"'”’»)]}」』】）"  # may follow the end of a sentence and still belong to it
JOINER = "\u200d"  # makes one emoji of two
JOINING = frozenset("'’")  # between letters, part of the word
TAIL = 64  # characters of a part that are looked at
DECIMAL = frozenset(".,")  # between digits, part of the number
SYLLABLES = (("\u3041", "\u309f"), ("\u30a1", "\u30ff"))  # hiragana and katakana, whose runs are read together
UNSPACED = (  # scripts that put no blanks between words: each token is a word
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x2E80, 0x303F),  # radicals, ideographic punctuation
    (0x3040, 0x30FF),  # kana
    (0x31F0, 0x9FFF),  # ideographs
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)


@dataclass(frozen=True, slots=True)
class Piece:
    """The fewest tokens that hold whole characters, and their text."""

    start: int
    end: int
    text: str
    is_special: bool


def units(tokens: Sequence[Token], kind: str) -> list[Span]:
    """The parts of a prompt, in order; `kind` is token, word or sentence."""
    begins = {"token": lambda *_: True, "word": begins_word, "sentence": begins_sentence}[kind]
    found: list[list[Piece]] = []
    before, whole = "", pieces(tokens)
    for at, piece in enumerate(whole):
        after = whole[at + 1].text if at + 1 < len(whole) else ""
        alone = not found or piece.is_special or found[-1][-1].is_special
        if alone or begins(before, piece.text, after):
            found.append([piece])
            before = piece.text
        else:
            found[-1].append(piece)
            before = tail(before + piece.text)
    return [(part[0].start, part[-1].end) for part in found]


def pieces(tokens: Sequence[Token]) -> list[Piece]:
    """Tokens joined where a character is spread over several."""
    found: list[Piece] = []
    decoder, start, text = codecs.getincrementaldecoder("utf-8")("replace"), 0, ""
    for at, token in enumerate(tokens):
        if token.is_special:
            if start < at:
                found.append(Piece(start, at, text + decoder.decode(b"", final=True), is_special=False))
            decoder.reset()
            found.append(Piece(at, at + 1, "", is_special=True))
            start, text = at + 1, ""
            continue
        text += decoder.decode(token.bytes)
        if not decoder.getstate()[0]:
            found.append(Piece(start, at + 1, text, is_special=False))
            start, text = at + 1, ""
    if start < len(tokens):
        found.append(Piece(start, len(tokens), text + "\ufffd", is_special=False))
    return found


def tail(text: str) -> str:
    """The end of a part, as much as decides what comes next: some characters, and of many blanks the last."""
    words = text.rstrip()
    blanks = text[len(words) :]
    if len(blanks) > TAIL:
        blanks = ("\n" if "\n" in blanks else "") + blanks[-1]
    return words[-TAIL:] + blanks


def begins_word(before: str, text: str, after: str) -> bool:
    """Whether a token's text begins a new word after that of the word so far; `after` is the next token's.

    Blanks belong to the word behind them.
    """
    if not before.strip() or not text:
        return False
    last, first = before[-1], text[0]
    if first.isspace() or last.isspace():
        return True
    if is_mark(first) or last == JOINER:
        return False
    if unspaced(first) or unspaced(last):
        return not any(low <= first <= high and low <= last <= high for low, high in SYLLABLES)
    for inside, around in ((JOINING, str.isalpha), (DECIMAL, str.isdigit)):
        if first in inside and around(last) and around((text[1:] + after)[:1]):
            return False
        if last in inside and around(first) and around(before[-2:-1]):
            return False
    return kind_of(first) != kind_of(last)


def begins_sentence(before: str, text: str, after: str) -> bool:
    """Whether a token's text begins a new sentence after that of the sentence so far.

    A line break ends a sentence, and so does a full stop before a blank, unless a small letter follows.
    """
    words = before.rstrip()
    if not words or not text.strip():
        return False
    if "\n" in before[len(words) :]:
        return True
    last = words.rstrip(CLOSING)[-1:]
    if last in WIDE_ENDS:
        return text[0] not in CLOSING and text[0] not in WIDE_ENDS
    blank = text[0].isspace() or before[-1].isspace()
    return last in ENDS and blank and not text.lstrip()[0].islower()


def unspaced(character: str) -> bool:
    """Whether it belongs to a script without blanks between words."""
    return any(first <= ord(character) <= last for first, last in UNSPACED)


def kind_of(character: str) -> str:
    """W for what words are made of, P for punctuation, S for symbols, C for the rest."""
    wordlike = character.isalnum() or character == "_" or is_mark(character)
    return "W" if wordlike else unicodedata.category(character)[0]


def is_mark(character: str) -> bool:
    """Whether it only changes the character before: an accent, a joiner, a variant."""
    return unicodedata.category(character) in ("Mn", "Mc", "Me", "Cf") or 0x1F3FB <= ord(character) <= 0x1F3FF
