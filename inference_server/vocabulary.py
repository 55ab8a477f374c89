"""A model's tokenizer: text to ids, and ids to the exact bytes each adds to the text. Knows no torch.

A token spells what the tokenizer's own decoder makes of it at its place (see spelling.py): a text's tokens, joined,
are what `tokenizer.decode` gives, with half characters kept as their bytes and no clean-up of the whole. Special tokens
are marks beside the text and spell none of it. Where the tokenizer loses something on the way in (WordPiece the case of
letters, Unigram without byte fallback a character it has no piece for, an added token the spaces it strips around
itself), the text of the ids is what was kept.
"""

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from inference_server import spelling
from inference_server.errors import InvalidField, LoadFailed
from inference_server.spelling import INSIDE, Place, Spelling
from inference_server.values import Token

TOKENIZER_FILES = ("tokenizer.json", "*.model", "vocab.*", "tekken.json", "*.tiktoken")


class Vocabulary:
    """The tokens of one model. Safe to use from several threads at once.

    size: one more than the tokenizer's highest id; the model's logits may be longer.
    bos_id: what stands for the beginning of a text, or None where the tokenizer has no such token.
    eos_id: what the tokenizer calls the end of a text, or None.
    prefix: the special tokens the tokenizer puts in front of a text.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        rules: Spelling,
        size: int,
        added: Iterable[int] = (),
        special: Iterable[int] = (),
    ) -> None:
        """`added`: ids of text taken in beside the model's own alphabet. `special`: further ids that are marks."""
        self._tokenizer = tokenizer
        self._rules = rules
        self._added = frozenset(added)
        self._special = special_ids(tokenizer).union(special)
        self._known: list[Token | None] = [None] * size
        self.size = size
        self.prefix = ids_in_front(tokenizer)
        bos_id: int | None = tokenizer.bos_token_id
        self.bos_id = bos_id if bos_id is not None or len(self.prefix) != 1 else self.prefix[0]
        self.eos_id = end_id(tokenizer)

    @classmethod
    def load(cls, folder: Path) -> "Vocabulary":
        """The vocabulary of a model's folder: local files only, none of its code run.

        Raises LoadFailed where the files are missing or broken, or the tokenizer can't be spelled token by token.
        """
        tokenizer = load_tokenizer(folder)
        sentencepiece = getattr(tokenizer, "sp_model", None)
        try:
            if isinstance(tokenizer, PreTrainedTokenizerFast):
                return cls.of_backend(tokenizer)
            if sentencepiece is not None:
                return cls.of_sentencepiece(tokenizer, sentencepiece)
        except spelling.UnknownDecoder as error:
            raise LoadFailed(
                f"{folder}: the tokenizer's decoder can't be followed token by token ({error}); "
                "use a model with another tokenizer."
            ) from error
        raise LoadFailed(
            f"{folder}: its tokenizer, {type(tokenizer).__name__}, exists only as Python code with spelling rules of "
            "its own; use a model that ships a tokenizer.json."
        )

    @classmethod
    def of_backend(cls, tokenizer: PreTrainedTokenizerFast) -> "Vocabulary":
        """A vocabulary around a tokenizer of the tokenizers library. Raises UnknownDecoder."""
        if type(tokenizer)._decode is not PreTrainedTokenizerFast._decode:
            raise spelling.UnknownDecoder(f"{type(tokenizer).__name__} decodes in its own way")
        backend = tokenizer.backend_tokenizer
        size = 1 + max(backend.get_vocab().values(), default=-1)
        added = [index for index in backend.get_added_tokens_decoder() if backend.model.id_to_token(index) is None]
        return cls(tokenizer, spelling.of_decoder(decoder_of(backend)), size, added)

    @classmethod
    def of_sentencepiece(cls, tokenizer: PreTrainedTokenizerBase, sentencepiece: Any) -> "Vocabulary":
        """A vocabulary around a tokenizer that runs SentencePiece itself, spelled as SentencePiece does."""
        pieces = [sentencepiece.id_to_piece(at) for at in range(len(sentencepiece))]
        word = next((piece for piece in pieces if piece.startswith("▁") and len(piece) > 1), None)
        in_front = word is not None and not sentencepiece.decode_pieces([word]).startswith(" ")
        marks = [at for at in range(len(pieces)) if sentencepiece.is_control(at) or sentencepiece.is_unknown(at)]
        return cls(tokenizer, spelling.of_sentencepiece(space_in_front=in_front), len(tokenizer), special=marks)

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
        return self.prefix + bare_ids(self._tokenizer, text)

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

    def _spell(self, token_id: int, place: Place) -> tuple[Token, Place]:
        """A token at a place, and the place after it; marks leave the place as it was."""
        token = self._inside(token_id)
        if token.is_special or (place == INSIDE and not self._rules.end_of_word):
            return token, place
        return self._text(token_id, self._name(token_id) or "", place)

    def _inside(self, token_id: int) -> Token:
        """A token well inside a text, looked up once; a mark is the same everywhere."""
        if not 0 <= token_id < self.size:
            return Token(token_id, b"", is_special=True)
        token = self._known[token_id]
        if token is None:
            name = self._name(token_id)
            if name is None or token_id in self._special:
                token = Token(token_id, (name or "").encode(), is_special=True)
            else:
                token, _ = self._text(token_id, name, INSIDE)
            self._known[token_id] = token
        return token

    def _text(self, token_id: int, name: str, place: Place) -> tuple[Token, Place]:
        text, after = self._rules.spell(name, place, added=token_id in self._added)
        return Token(token_id, text.encode(errors="surrogateescape"), is_special=False), after

    def _name(self, token_id: int) -> str | None:
        """What the tokenizer calls a token; None for an id it skipped."""
        name = self._tokenizer.convert_ids_to_tokens(token_id)
        return name if isinstance(name, str) else None


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer transformers makes of a folder. Raises LoadFailed."""
    if not any(path for pattern in TOKENIZER_FILES for path in folder.glob(pattern)):  # some classes would start empty
        raise LoadFailed(f"{folder}: no tokenizer files (tokenizer.json, tokenizer.model or vocab.json); add them.")
    os.environ.setdefault("TIKTOKEN_CACHE_DIR", "")  # its cache goes by path and would miss that a file has changed
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, mistral_format=False
        )
        if isinstance(tokenizer, PreTrainedTokenizerFast) and misread(tokenizer, folder):
            tokenizer = PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
    except ImportError as error:
        raise LoadFailed(f"{folder}: its tokenizer needs more than is installed ({first_line(error)})") from error
    except Exception as error:  # whatever transformers and the libraries below it raise at a file they can't read
        if "trust_remote_code" in str(error):
            raise LoadFailed(
                f"{folder}: its tokenizer is Python code shipped with the model, which this server never runs; "
                "use a model that ships a tokenizer.json."
            ) from error
        raise LoadFailed(
            f"{folder}: its tokenizer can't be read ({first_line(error)}); fetch its files anew."
        ) from error
    return tokenizer


def first_line(error: Exception) -> str:
    """The gist of a library's error."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


def misread(tokenizer: PreTrainedTokenizerFast, folder: Path) -> bool:
    """Whether transformers, by the model's type, chose a class whose alphabet is not that of the tokenizer's file.

    It does so for a few types, such as qwen2, and then loses most of any text.
    """
    own = folder / "tokenizer.json"
    if not own.is_file() or type(tokenizer) is PreTrainedTokenizerFast:
        return False
    config = json.loads(own.read_text(encoding="utf-8")).get("decoder")
    return in_byte_signs(config) != in_byte_signs(decoder_of(tokenizer.backend_tokenizer))


def in_byte_signs(decoder: Mapping[str, Any] | None) -> bool:
    """Whether names are written in the byte signs of byte-level tokenizers."""
    return decoder is not None and any(part["type"] == "ByteLevel" for part in spelling.flat(decoder))


def decoder_of(backend: Tokenizer) -> Mapping[str, Any] | None:
    """The decoder as tokenizer.json describes it; None where there is none."""
    decoder: Mapping[str, Any] | None = json.loads(backend.decoder.__getstate__()) if backend.decoder else None
    return decoder


def special_ids(tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """The ids of the tokens added as special, and of those with a role, such as padding.

    A tokenizer's `all_special_ids` may also hold text, such as a run of spaces, that is only never to be split.
    """
    marked = (index for index, token in tokenizer.added_tokens_decoder.items() if token.special)
    roles = (tokenizer.convert_tokens_to_ids(name) for name in tokenizer.special_tokens_map.values())
    return frozenset(marked).union(index for index in roles if isinstance(index, int))


def end_id(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """The id of the tokenizer's end of a text; None where it has none, or names one that is not in its vocabulary."""
    index: int | None = tokenizer.eos_token_id
    known = index is not None and tokenizer.convert_ids_to_tokens(index) == tokenizer.eos_token
    return index if known else None  # for a name it does not know, a tokenizer gives the id of its unknown token


def bare_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """The ids of a text with no special token put around it."""
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False, verbose=False)
    return ids


def ids_in_front(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The special tokens the tokenizer puts in front of every text."""
    alone = bare_ids(tokenizer, "a")
    framed: list[int] = tokenizer.encode("a")
    at = next((at for at in range(len(framed)) if framed[at : at + len(alone)] == alone), 0)
    return framed[:at]
