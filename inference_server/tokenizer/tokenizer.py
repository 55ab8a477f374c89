"""A model's tokenizer: text to ids, and ids to the exact bytes each adds to the text. Knows no torch.

A token spells what the tokenizer's own decoder makes of it at its place (see spelling.py): a text's tokens, joined,
are what `tokenizer.decode` gives, with half characters kept as their bytes and no clean-up of the whole. Special tokens
are marks beside the text and spell none of it. Where the tokenizer loses something on the way in (WordPiece the case of
letters, Unigram without byte fallback a character it has no piece for, an added token the spaces it strips around
itself), the text of the ids is what was kept.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from inference_server.errors import InvalidField, LoadFailed
from inference_server.messages import Token
from inference_server.tokenizer import token_bytes, tokenizer_json, vocab_files
from inference_server.tokenizer.token_bytes import INSIDE, TextPosition
from inference_server.tokenizer.tokenizer_json import TokenizerBackend


class ModelTokenizer:
    """The tokens of one model. Safe to use from several threads at once.

    size: one more than the tokenizer's highest id; the model's logits may be longer.
    bos_id: what stands for the beginning of a text, or None where the tokenizer has no such token.
    eos_id: what the tokenizer calls the end of a text, or None.
    prefix: the special tokens the tokenizer puts in front of a text.
    """

    def __init__(self, words: TokenizerBackend) -> None:
        self._words = words
        self._rules = words.spelling
        self._known: dict[int, Token] = {}
        self.size = words.size
        self.prefix = list(words.prefix)
        self.bos_id = words.bos_id
        self.eos_id = words.eos_id

    @classmethod
    def load(cls, folder: Path) -> "ModelTokenizer":
        """The vocabulary of a model's folder: local files only, none of its code run.

        Raises LoadFailed where the files are missing or broken, or the tokenizer can't be spelled token by token.
        """
        try:
            own = os.path.lexists(folder / tokenizer_json.FILE)
            return cls(tokenizer_json.read(folder) if own else vocab_files.read(folder))
        except token_bytes.UnknownDecoder as error:
            raise LoadFailed(
                f"its tokenizer's decoder can't be followed token by token ({error}); "
                "use a model with another tokenizer"
            ) from error

    @property
    def begins(self) -> bool:
        """Whether texts follow the beginning-of-sequence token, since the tokenizer puts it in front of them."""
        return self.bos_id in self.prefix

    def check_rows(self, rows: int) -> None:
        """Raises LoadFailed where a text can hold ids for which a model with so many rows of logits has none.

        Marks may lie beyond them, as <image_soft_token> does in Gemma 3's model without images: a text holds them only
        where it spells out their names.
        """
        beyond = [index for index in (self._words.text_size - 1, *self.prefix) if index >= rows]
        if beyond:
            raise LoadFailed(
                f"its tokenizer has more tokens than the model: {self._words.name(beyond[0])!r} is {beyond[0]:,}, "
                f"and the model has {rows:,} of them, from 0; use the tokenizer that belongs to the model"
            )

    def beyond(self, token_ids: Sequence[int], rows: int) -> str:
        """What is wrong with the ids of a text of which one lies beyond a model's rows of logits."""
        mark = next(token_id for token_id in token_ids if token_id >= rows)
        return f"holds {str(self._words.name(mark))[:80]}, a special token that this model does not know; take it out"

    def encode(self, text: str) -> list[int]:
        """The ids of a text, after the special tokens the tokenizer puts in front of one.

        Those it would put behind are left off: the next token follows the text. A special token's name within the
        text, such as <|endoftext|>, is read as that token, as the tokenizer does by default. Raises InvalidField for
        text with half a surrogate pair, which no UTF-8 holds.
        """
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InvalidField("text", f"character {error.start} is half a surrogate pair; send whole ones") from error
        return self.prefix + self._words.read(text)

    def spell(self, token_ids: Sequence[int]) -> list[Token]:
        """Each token as it stands among the others: the bytes of those not special, joined, are the text."""
        place = self._rules.start
        tokens = []
        for token_id in token_ids:
            token, place = self._spell(token_id, place)
            tokens.append(token)
        return tokens

    def token(self, token_id: int, preceding: Sequence[int]) -> Token:
        """A token as it would follow others: the last of spell([*preceding, token_id])."""
        return self.following(preceding)(token_id)

    def following(self, preceding: Sequence[int]) -> Callable[[int], Token]:
        """`token` for many tokens after the same others."""
        place = self._rules.start
        for token_id in preceding:
            if not (place.first or place.strip):
                break
            _, place = self._spell(token_id, place)
        if self._rules.end_of_word:
            last = next((token_id for token_id in reversed(preceding) if not self._inside(token_id).is_special), None)
            place = place if last is None else self._spell(last, place)[1]
        if place == INSIDE:
            return self._inside
        return lambda token_id: self._spell(token_id, place)[0]

    def decode(self, token_ids: Sequence[int]) -> str:
        """The text of ids, whatever they are; bytes that form no character are shown as U+FFFD."""
        return b"".join(token.bytes for token in self.spell(token_ids) if not token.is_special).decode(errors="replace")

    def _spell(self, token_id: int, place: TextPosition) -> tuple[Token, TextPosition]:
        """A token at a place, and the place after it; marks leave the place as it was."""
        token = self._inside(token_id)
        if token.is_special or (place == INSIDE and not self._rules.end_of_word):
            return token, place
        return self._text(token_id, self._words.name(token_id) or "", place)

    def _inside(self, token_id: int) -> Token:
        """A token well inside a text, looked up once; a mark is the same everywhere."""
        if not 0 <= token_id < self.size:
            return Token(token_id, b"", is_special=True)
        token = self._known.get(token_id)
        if token is None:
            name = self._words.name(token_id)
            if name is None or token_id in self._words.special:
                token = Token(token_id, (name or "").encode(), is_special=True)
            else:
                token, _ = self._text(token_id, name, INSIDE)
            self._known[token_id] = token
        return token

    def _text(self, token_id: int, name: str, place: TextPosition) -> tuple[Token, TextPosition]:
        text, after = self._rules.spell(name, place, added=token_id in self._words.added)
        return Token(token_id, text.encode(errors="surrogateescape"), is_special=False), after
