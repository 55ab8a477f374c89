"""A model's tokens as llguidance knows them: bytes, a mark on special ones, and how the tokenizer writes a text."""

import weakref
from collections.abc import Sequence
from typing import Any

import llguidance
import numpy as np
from numpy.typing import NDArray

from inference_server.errors import InvalidField
from inference_server.tokenizer.token_bytes import TextPosition
from inference_server.tokenizer.tokenizer import ModelTokenizer

Places = tuple[NDArray[np.int64], NDArray[np.int64]]


class Vocabulary:
    """Takes seconds to make for 200,000 tokens, and some 20 MB.

    Where a token's bytes depend on its position, as of a first one in SentencePiece, `everywhere` has it once more for
    each: llguidance then knows it under an id beyond the tokenizer's.
    """

    def __init__(self, tokenizer: ModelTokenizer, end_ids: Sequence[int], everywhere: bool) -> None:
        """`end_ids`: of tokens that end a text, which counts as special whatever its tokenizer says; at least one."""
        self._tokenizer = tokenizer
        inside = [*tokenizer.vocabulary()]
        self.tokens = [spelling for spelling, _ in inside]
        self.special_token_ids = sorted({at for at, (_, special) in enumerate(inside) if special} | {*end_ids})
        self.tokens += [b""] * (self.special_token_ids[-1] + 1 - len(inside))
        self._places: dict[TextPosition, Places] = {}
        for position in tokenizer.elsewhere if everywhere else ():
            different = [
                (at, spelling)
                for at, (spelling, special) in enumerate(tokenizer.vocabulary(position))
                if not special and spelling != inside[at][0]
            ]
            ids = np.array([at for at, _ in different], dtype=np.int64)
            self._places[position] = ids, len(self.tokens) + np.arange(len(ids))
            self.tokens += [spelling for _, spelling in different]
        wrapped: Any = _Wrapped(self)
        self.known = llguidance.LLTokenizer(wrapped, eos_token=[*end_ids])

    def spell(self, text: str) -> list[int]:
        """How the tokenizer writes a text that goes on with another; its longest tokens where it can't to the byte."""
        try:
            ids = self._tokenizer.encode_bare(text, literal=True, after=True)
        except InvalidField:
            ids = []
        if b"".join(self.tokens[token_id] for token_id in ids) == text.encode():
            return ids
        greedy: list[int] = self.known.greedy_tokenize(text)
        return greedy

    def id_at(self, token_id: int, position: TextPosition) -> int:
        """The id under which llguidance knows a token at a position."""
        if position in self._places:
            ids, variants = self._places[position]
            at = int(np.searchsorted(ids, token_id))
            if at < len(ids) and ids[at] == token_id:
                return int(variants[at])
        return token_id

    def allowed(self, bits: bytes, position: TextPosition, rows: int) -> NDArray[np.bool_]:
        """(rows,): of a mask of llguidance's, the tokens that may stand at a position."""
        every = np.unpackbits(np.frombuffer(bits, dtype=np.uint8), bitorder="little").astype(bool)
        found = np.zeros(max(rows, len(every)), dtype=bool)
        count = min(self._tokenizer.size, len(every))
        found[:count] = every[:count]
        if position in self._places:
            ids, variants = self._places[position]
            found[ids] = every[variants]
        return found[:rows]


class _Wrapped:
    """What LLTokenizer reads of a vocabulary. It keeps this, which therefore must not keep it."""

    is_tokenizer_wrapper = True
    bos_token_id = None

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.tokens = vocabulary.tokens
        self.special_token_ids = vocabulary.special_token_ids
        self.eos_token_id = vocabulary.special_token_ids[0]
        self._vocabulary = weakref.proxy(vocabulary)

    def __call__(self, text: str) -> list[int]:
        ids: list[int] = self._vocabulary.spell(text)
        return ids


def everywhere(tokenizer: ModelTokenizer, start: TextPosition) -> bool:
    """Whether a text that begins there needs more than what tokens are inside one."""
    return start in tokenizer.elsewhere or any(position.owed for position in tokenizer.elsewhere)
