"""Which tokens of two models are the same, so that their distributions can be compared."""

from array import array
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from inference_server.tokenizer.token_bytes import TextPosition
from inference_server.tokenizer.tokenizer import ModelTokenizer

PAIRS = 8  # of vocabularies, whose alignments are cached: about 2 MB each


class Vocabulary(NamedTuple):
    """The tokens that a model's logits are about, as they are spelled at a position."""

    tokenizer: ModelTokenizer
    rows: int
    position: TextPosition


class Alignment(NamedTuple):
    """The tokens of two vocabularies as numbered units: first those of both, then those of `a` alone, then of `b`."""

    a: "array[int]"
    """The unit that each id of `a` stands for; several may stand for the same."""
    b: "array[int]"
    shared: int
    """How many units both have."""
    total: int
    by_bytes: bool
    """Whether tokens are the same if they add the same bytes, or are special and of the same name; else by id."""


@lru_cache(PAIRS)
def align(a: Vocabulary, b: Vocabulary) -> Alignment:
    """By id if both tokenizers have the same tokens, else by bytes. The first time, this takes a while."""
    if a.tokenizer is b.tokenizer or a.tokenizer.fingerprint == b.tokenizer.fingerprint:
        shared, count = sorted((a.rows, b.rows))
        return Alignment(array("i", range(a.rows)), array("i", range(b.rows)), shared, count, by_bytes=False)
    names_a, names_b = list(_names(a, "a")), list(_names(b, "b"))
    of_b = set(names_b)
    in_both = dict.fromkeys(name for name in names_a if name in of_b)
    numbers = {name: number for number, name in enumerate(dict.fromkeys((*in_both, *names_a, *names_b)))}
    units_a, units_b = (array("i", [numbers[name] for name in names]) for names in (names_a, names_b))
    return Alignment(units_a, units_b, len(in_both), len(numbers), by_bytes=True)


def _names(vocabulary: Vocabulary, side: str) -> Iterator[bytes | tuple[str, int]]:
    """What each id is compared by; ids without a token are like no other."""
    tokenizer, rows, position = vocabulary
    for token_id, (spelling, special) in zip(range(rows), tokenizer.vocabulary(position), strict=False):
        unused = special and not spelling
        yield (side, token_id) if unused else (b"special " if special else b"text ") + spelling
    for token_id in range(tokenizer.size, rows):
        yield side, token_id
