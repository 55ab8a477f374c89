"""What a vocabulary needs of a tokenizer, read from its tokenizer.json as that stands. Knows no model, and no class.

transformers builds normalizer, pre-tokenizer and decoder anew from the class that a folder names, and so reads many
published files otherwise than they say. Here the file alone decides how text becomes ids and ids become names.
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
from inference_server.tokenizer import special_tokens, token_bytes
from inference_server.tokenizer.special_tokens import SpecialTokens, first_line
from inference_server.tokenizer.token_bytes import ByteDecoder

FILE = "tokenizer.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerBackend:
    """A tokenizer as plain parts. The functions may be called from several threads at once.

    read: the ids of a text, with nothing put around it. name: what a token is called, None for an id it skips.
    size: one more than the highest id. text_size: the same of those ids that are text.
    special: ids that are marks and not text. added: ids of text taken in beside the model's own alphabet.
    prefix: the special tokens that belong in front of a text.
    """

    read: Callable[[str], list[int]]
    name: Callable[[int], str | None]
    spelling: ByteDecoder
    size: int
    text_size: int
    special: frozenset[int]
    added: frozenset[int] = frozenset()
    prefix: tuple[int, ...] = ()
    bos_id: int | None = None
    eos_id: int | None = None


def read(folder: Path) -> TokenizerBackend:
    """The lexicon of a folder's tokenizer.json, with the roles that the files beside it give.

    Raises LoadFailed, or UnknownDecoder.
    """
    try:
        backend = Tokenizer.from_file(str(folder / FILE))
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic in the library is no Exception
        raise LoadFailed(f"{FILE} can't be read ({first_line(error)}); fetch it again") from error
    return of_backend(backend, special_tokens.read(folder))


def of_backend(
    backend: Tokenizer, given: SpecialTokens, read: Callable[[str], list[int]] | None = None
) -> TokenizerBackend:
    """The lexicon of a tokenizer of the tokenizers library, which is changed: it reads every text whole, and always
    alike. `read` may stand in for its own reading. Raises UnknownDecoder.
    """
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
    prefix = ids_in_front(backend)
    if not prefix and given.begins and bos_id is not None:
        prefix = (bos_id,)
    return TokenizerBackend(
        read=read or reader(backend),
        name=backend.id_to_token,
        spelling=token_bytes.of_decoder(decoder_of(backend)),
        size=1 + max(known, default=-1),
        text_size=1 + max((index for index in known if index not in special), default=-1),
        special=frozenset(special),
        added=frozenset(index for index in extra if backend.model.id_to_token(index) is None),
        prefix=prefix,
        bos_id=bos_id if bos_id is not None or len(prefix) != 1 else prefix[0],
        eos_id=ids.get(special_tokens.END),
    )


def reader(backend: Tokenizer) -> Callable[[str], list[int]]:
    """A tokenizer's own way from text to ids, with nothing put around them.

    As a batch of one: the library holds Python's lock for as long as it encodes a single text, so a million bytes would
    stop every other thread for seconds.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # no threads of its own for that one text
    return lambda text: backend.encode_batch_fast([text], add_special_tokens=False)[0].ids


def ids_in_front(backend: Tokenizer) -> tuple[int, ...]:
    """The special tokens that a tokenizer's post-processor puts in front of any text."""
    if backend.post_processor is None:
        return ()
    any_text = Tokenizer(models.WordLevel({"a": 0})).encode("a")
    framed = backend.post_processor.process(any_text)
    put = itertools.takewhile(lambda pair: pair[1], zip(framed.ids, framed.special_tokens_mask, strict=True))
    return tuple(index for index, _ in put)


def decoder_of(backend: Tokenizer) -> Mapping[str, Any] | None:
    """The decoder as tokenizer.json describes it; None where there is none."""
    decoder: Mapping[str, Any] | None = json.loads(backend.decoder.__getstate__()) if backend.decoder else None
    return decoder
