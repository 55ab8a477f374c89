"""A model's tokenizer: text to ids, and ids to the exact bytes that each adds to the text.

Joined, the bytes of a text's tokens equal `tokenizer.decode` without its clean-up, and partial characters keep their
bytes (see token_bytes). Special tokens add nothing. What a tokenizer drops when encoding stays lost: the case of
letters in WordPiece, unknown characters in Unigram, spaces that an added token strips.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from inference_server.errors import InvalidField, LoadFailed
from inference_server.messages import Token
from inference_server.tokenizer import chat_template, token_bytes, tokenizer_json, vocab_files
from inference_server.tokenizer.chat_template import ChatTemplate
from inference_server.tokenizer.token_bytes import INSIDE, TextPosition
from inference_server.tokenizer.tokenizer_json import TokenizerBackend


class ModelTokenizer:
    """One model's tokenizer. Thread-safe.

    size: highest id + 1; the model may have more logits. prefix: special tokens in front of every text.
    """

    def __init__(self, backend: TokenizerBackend, template: ChatTemplate | None = None) -> None:
        self.template = template or ChatTemplate()
        self._backend = backend
        self._decoder = backend.decoder
        self._tokens: dict[int, Token] = {}
        self.size = backend.size
        self.prefix = list(backend.prefix)
        self.bos_id = backend.bos_id
        self.eos_id = backend.eos_id

    @classmethod
    def load(cls, folder: Path) -> "ModelTokenizer":
        """A folder's tokenizer, from local files and without running code from the model. Raises LoadFailed."""
        try:
            has_json = os.path.lexists(folder / tokenizer_json.FILE)
            backend = tokenizer_json.read(folder) if has_json else vocab_files.read(folder)
            return cls(backend, chat_template.read(folder))
        except token_bytes.UnknownDecoder as error:
            raise LoadFailed(
                f"its tokenizer can't be decoded token by token ({error}); use a model with another tokenizer"
            ) from error

    @property
    def begins(self) -> bool:
        """Whether the tokenizer prepends BOS to texts."""
        return self.bos_id in self.prefix

    def check_rows(self, rows: int) -> None:
        """Raises LoadFailed if a text could contain ids for which the model has no logits.

        Special tokens may: <image_soft_token> in Gemma 3's text-only model appears only if a text spells its name.
        """
        beyond = [index for index in (self._backend.text_size - 1, *self.prefix) if index >= rows]
        if beyond:
            raise LoadFailed(
                f"its tokenizer has more tokens than the model: {self._backend.name(beyond[0])!r} has the id "
                f"{beyond[0]:,}, and the model's vocabulary size is {rows:,}; use the model's own tokenizer"
            )

    def beyond(self, token_ids: Sequence[int], rows: int) -> str:
        """The fault of a text with an id beyond the model's logits."""
        special = next(token_id for token_id in token_ids if token_id >= rows)
        name = str(self._backend.name(special))[:80]
        return f"contains {name}, a special token that this model doesn't support; remove it"

    def encode(self, text: str, literal: bool = False) -> list[int]:
        """A text's ids, with the special tokens in front but none at the end, where the next token belongs.

        Names of special tokens in the text, such as <|endoftext|>, become those tokens, which is the tokenizers
        library's default, unless they are `literal`. Raises InvalidField for unpaired surrogates.
        """
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InvalidField("text", f"character {error.start} is an unpaired surrogate") from error
        return self.prefix + self.encode_bare(text, literal)

    def encode_bare(self, text: str, literal: bool = False, after: bool = False) -> list[int]:
        """The ids of valid text with nothing in front; `after`: of text that begins no prompt.

        Raises InvalidField if a special token's name is to be `literal` and the vocabulary has no characters for it.
        """
        backend = self._backend
        if not literal:
            return backend.encode_after(text) if after else backend.encode(text)
        ids = backend.encode_literal_after(text) if after else backend.encode_literal(text)
        for token in map(self._inside, set(ids)):
            if token.is_special and token.bytes and token.bytes in text.encode():
                name = token.bytes.decode(errors="replace")[:80]
                raise InvalidField("special", f"this model's tokenizer can't write {name} as characters; use token")
        return ids

    def encode_parts(self, parts: Sequence[str | Sequence[int]], literal: bool = False) -> list[int]:
        """The ids of text and ids in turn. Nothing, not even a space, goes in front of text that begins no prompt."""
        ids: list[int] = []
        for at, part in enumerate(parts):
            if isinstance(part, str):
                ids += self.encode_bare(part, literal, after=True) if at else self.encode(part, literal)
            else:
                ids += part
        return ids

    def is_special(self, token_id: int) -> bool:
        """Whether a token is special; also true for unused ids."""
        return self._inside(token_id).is_special

    def locate(self, token_ids: Sequence[int], text: str) -> list[int]:
        """The character at which each of a text's tokens begins, or which it is a part of.

        Exact for tokenizers that keep their text; where one changes it, each special token is found again.
        """
        data = text.encode()
        characters = [at for at, character in enumerate(text) for _ in character.encode()] + [len(text)]
        starts, at = [], 0
        for token in self.spell(token_ids):
            if token.is_special and (found := data.find(token.bytes, at)) >= 0:
                at = found
            spelled = token.bytes
            if not data.startswith(spelled, at):  # spaces may have gone to the token before, or be its own
                spelled = spelled.lstrip()
                behind = len(data) - len(data[at:].lstrip())
                at = behind if spelled and data.startswith(spelled, behind) else at
            starts.append(characters[min(at, len(data))])
            at += len(spelled)
        return starts

    def spell(self, token_ids: Sequence[int]) -> list[Token]:
        """The tokens of a text; the bytes of those that are not special, joined, are the text."""
        position = self._decoder.start
        tokens = []
        for token_id in token_ids:
            token, position = self.spell_at(token_id, position)
            tokens.append(token)
        return tokens

    def token(self, token_id: int, preceding: Sequence[int]) -> Token:
        """The last of spell([*preceding, token_id])."""
        return self.following(preceding)(token_id)

    def following(self, preceding: Sequence[int]) -> Callable[[int], Token]:
        """`token` for many tokens after the same preceding ones."""
        position = self.position_after(preceding)
        if position == INSIDE:
            return self._inside
        return lambda token_id: self.spell_at(token_id, position)[0]

    def position_after(self, preceding: Sequence[int]) -> TextPosition:
        """Where the next token stands, as far as its bytes depend on it."""
        position = self._decoder.start
        for token_id in preceding:
            if not (position.first or position.strip):
                break
            _, position = self.spell_at(token_id, position)
        if self._decoder.end_of_word:
            last = next((token_id for token_id in reversed(preceding) if not self._inside(token_id).is_special), None)
            position = position if last is None else self.spell_at(last, position)[1]
        return position

    @property
    def elsewhere(self) -> list[TextPosition]:
        """The positions at which tokens are spelled differently than INSIDE a text."""
        return self._decoder.elsewhere

    def vocabulary(self, position: TextPosition = INSIDE) -> Iterator[tuple[bytes, bool]]:
        """Of each id, as its token at a position has them: the bytes, and whether it is special. Caches nothing."""
        special, added, spell = self._backend.special, self._backend.added, self._decoder.spell
        for token_id in range(self.size):
            name = self._backend.name(token_id)
            if name is None or token_id in special:
                yield (name or "").encode(), True
            else:
                yield spell(name, position, added=token_id in added)[0].encode(errors="surrogateescape"), False

    @cached_property
    def fingerprint(self) -> bytes:
        """The same for tokenizers whose ids all mean the same; takes a while."""
        digest = sha256()
        for spelling, special in self.vocabulary():
            digest.update(b"%d %d " % (len(spelling), special) + spelling)
        return digest.digest()

    def decode(self, token_ids: Sequence[int]) -> str:
        """The text of any ids; invalid UTF-8 becomes U+FFFD."""
        return b"".join(token.bytes for token in self.spell(token_ids) if not token.is_special).decode(errors="replace")

    def spell_at(self, token_id: int, position: TextPosition) -> tuple[Token, TextPosition]:
        """A token at a position, and the next position; special tokens don't move it."""
        token = self._inside(token_id)
        if token.is_special or (position == INSIDE and not self._decoder.end_of_word):
            return token, position
        return self._text(token_id, self._backend.name(token_id) or "", position)

    def _inside(self, token_id: int) -> Token:
        """A token inside a text, cached; special tokens are the same everywhere."""
        if not 0 <= token_id < self.size:
            return Token(token_id, b"", is_special=True)
        token = self._tokens.get(token_id)
        if token is None:
            name = self._backend.name(token_id)
            if name is None or token_id in self._backend.special:
                token = Token(token_id, (name or "").encode(), is_special=True)
            else:
                token, _ = self._text(token_id, name, INSIDE)
            self._tokens[token_id] = token
        return token

    def _text(self, token_id: int, name: str, position: TextPosition) -> tuple[Token, TextPosition]:
        text, following = self._decoder.spell(name, position, added=token_id in self._backend.added)
        return Token(token_id, text.encode(errors="surrogateescape"), is_special=False), following
