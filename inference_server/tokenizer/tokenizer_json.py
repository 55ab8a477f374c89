"""Loads tokenizer.json exactly as written.

transformers rebuilds normalizer, pre-tokenizer and decoder from the tokenizer class, and so tokenizes many published
models differently from what their files say. Here the file alone decides.
"""

import itertools
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, models

from inference_server.errors import LoadFailed
from inference_server.host import memory
from inference_server.tokenizer import continuation, literal, special_tokens, token_bytes
from inference_server.tokenizer.special_tokens import SpecialTokens, first_line
from inference_server.tokenizer.token_bytes import ByteDecoder

FILE = "tokenizer.json"
HUGE_TEXT = 100_000  # characters; to encode longer ones takes up to 200 bytes for each, which glibc would keep

Encode = Callable[[str], list[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerBackend:
    """A tokenizer's parts. The functions are thread-safe."""

    encode: Callable[[str], list[int]]
    """Text to ids, without special tokens around it."""
    encode_after: Callable[[str], list[int]]
    """As encode, for text after other tokens: without the space that some tokenizers put in front of every text."""
    encode_literal: Callable[[str], list[int]]
    """As encode, but the names of special tokens are plain characters."""
    encode_literal_after: Callable[[str], list[int]]
    """As encode_after, but the names of special tokens are plain characters."""
    name: Callable[[int], str | None]
    """A token's name; None for unused ids."""
    decoder: ByteDecoder
    size: int
    """Highest id + 1."""
    text_size: int
    """Highest id of a text token + 1."""
    special: frozenset[int]
    added: frozenset[int] = frozenset()
    """Ids of added tokens, whose names are plain text rather than encoded bytes."""
    prefix: tuple[int, ...] = ()
    """Special tokens that belong in front of a text."""
    bos_id: int | None = None
    eos_id: int | None = None


def read(folder: Path) -> TokenizerBackend:
    """A folder's tokenizer.json and special tokens. Raises LoadFailed or UnknownDecoder."""
    try:
        backend = Tokenizer.from_file(str(folder / FILE))
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic in the library is not an Exception
        raise LoadFailed(f"{FILE} can't be read ({first_line(error)}); download it again") from error
    return of_backend(backend, special_tokens.read(folder))


def of_backend(
    backend: Tokenizer, given: SpecialTokens, encoding: Callable[[Tokenizer], Encode] | None = None
) -> TokenizerBackend:
    """Wraps a tokenizer of the tokenizers library, with truncation, padding and dropout turned off.

    `encoding` makes what replaces a tokenizer's own encoding. Raises UnknownDecoder.
    """
    encoding = encoding or encoder
    backend.no_truncation()
    backend.no_padding()
    if isinstance(backend.model, models.BPE):
        backend.model.dropout = None
    ids = {role: backend.token_to_id(name) for role, name in given.names.items()}
    extra = backend.get_added_tokens_decoder()
    special = {index for index in ids.values() if index is not None}
    special |= {index for index, token in extra.items() if token.special}
    known = backend.get_vocab().values()
    bos_id = ids.get(special_tokens.BEGIN)
    prefix = prefix_of(backend)
    if not prefix and given.begins and bos_id is not None:
        prefix = (bos_id,)
    return TokenizerBackend(
        encode=encoding(backend),
        encode_after=encoder(continuation.of(backend)),
        encode_literal=encoding(literal.of(backend)),
        encode_literal_after=encoder(literal.of(continuation.of(backend))),
        name=backend.id_to_token,
        decoder=token_bytes.of_decoder(decoder_of(backend)),
        size=1 + max(known, default=-1),
        text_size=1 + max((index for index in known if index not in special), default=-1),
        special=frozenset(special),
        added=frozenset(index for index in extra if backend.model.id_to_token(index) is None),
        prefix=prefix,
        bos_id=bos_id if bos_id is not None or len(prefix) != 1 else prefix[0],
        eos_id=ids.get(special_tokens.END),
    )


def encoder(backend: Tokenizer) -> Encode:
    """Text to ids, without special tokens.

    Uses a batch of one because `encode` holds the GIL: a text of a million bytes would block every thread for seconds.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # no thread pool for a single text

    def encode(text: str) -> list[int]:
        ids: list[int] = backend.encode_batch_fast([text], add_special_tokens=False)[0].ids
        if len(text) > HUGE_TEXT:
            memory.trim()
        return ids

    return encode


def prefix_of(backend: Tokenizer) -> tuple[int, ...]:
    """The special tokens that the post-processor prepends to a text."""
    if backend.post_processor is None:
        return ()
    sample = Tokenizer(models.WordLevel({"a": 0})).encode("a")
    processed = backend.post_processor.process(sample)
    added = itertools.takewhile(lambda pair: pair[1], zip(processed.ids, processed.special_tokens_mask, strict=True))
    return tuple(index for index, _ in added)


def decoder_of(backend: Tokenizer) -> Mapping[str, Any] | None:
    """The decoder in tokenizer.json's format; None if there is none."""
    empty = Tokenizer(models.WordLevel({}))  # serialising the real vocabulary would take much longer
    if backend.decoder is not None:
        empty.decoder = backend.decoder
    decoder: Mapping[str, Any] | None = json.loads(empty.to_str())["decoder"]
    return decoder
