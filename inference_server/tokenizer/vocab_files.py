"""Loads tokenizers without a tokenizer.json, through transformers."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import sentencepiece
from tokenizers import Tokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from inference_server.errors import LoadFailed
from inference_server.tokenizer import continuation, special_tokens, token_bytes, tokenizer_json
from inference_server.tokenizer.special_tokens import SpecialTokens, first_line
from inference_server.tokenizer.tokenizer_json import TokenizerBackend

FILES = ("*.model", "vocab.*", "tekken.json", "*.tiktoken")
SPACES = (" ", "▁")


def read(folder: Path) -> TokenizerBackend:
    """A folder's tokenizer. Raises LoadFailed or UnknownDecoder."""
    if not any(path for pattern in FILES for path in folder.glob(pattern)):  # some classes would load empty
        raise LoadFailed("no tokenizer files (tokenizer.json, tokenizer.model or vocab.json); add them")
    for name in (special_tokens.CONFIG, special_tokens.MAP, "config.json"):
        special_tokens.read_object(folder / name)
    tokenizer = load(folder)
    if isinstance(tokenizer, PreTrainedTokenizerFast):
        return of_fast(tokenizer, folder)
    if (pieces := getattr(tokenizer, "sp_model", None)) is not None:
        return of_sentencepiece(tokenizer, pieces)
    raise LoadFailed(
        f"its tokenizer, {type(tokenizer).__name__}, is implemented in Python and can't be decoded token by token; "
        "use a model with a tokenizer.json"
    )


def load(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer as transformers loads it. Raises LoadFailed."""
    os.environ.setdefault("TIKTOKEN_CACHE_DIR", "")  # the cache is keyed by path and would miss changed files
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, mistral_format=False
        )
    except ImportError as error:
        raise LoadFailed(f"its tokenizer requires a library that is not installed ({first_line(error)})") from error
    except Exception as error:  # transformers and its dependencies raise anything
        if "trust_remote_code" in str(error):
            raise LoadFailed(
                "its tokenizer requires custom code, which this server never runs; use a model with a tokenizer.json"
            ) from error
        fault = first_line(error).replace(f"{folder}{os.sep}", "")
        raise LoadFailed(f"its tokenizer can't be read ({fault}); download its files again") from error
    return tokenizer


def of_fast(tokenizer: PreTrainedTokenizerFast, folder: Path) -> TokenizerBackend:
    """A tokenizer that transformers built on the tokenizers library."""
    if type(tokenizer)._decode is not PreTrainedTokenizerFast._decode:
        raise token_bytes.UnknownDecoder(f"{type(tokenizer).__name__} overrides decoding")
    backend = tokenizer.backend_tokenizer
    return tokenizer_json.of_backend(
        backend, SpecialTokens(tokenizer.special_tokens_map), partial(encoder, folder=folder)
    )


def encoder(backend: Tokenizer, folder: Path) -> Callable[[str], list[int]]:
    """Text to ids, treating leading spaces as SentencePiece does.

    SentencePiece prepends a space to every text, even to one that starts with a space. transformers' conversion does
    not in that case, so " a" would be tokenized like "a".
    """
    plain = tokenizer_json.encoder(backend)
    model = folder / "tokenizer.model"
    try:
        reference = sentencepiece.SentencePieceProcessor(model_file=str(model)) if model.is_file() else None
    except RuntimeError:  # another format under that name, such as tiktoken's
        reference = None
    if reference is None or reference.encode(" a") == plain(" a") or reference.encode(" a") != plain("  a"):
        return plain
    return lambda text: plain(f" {text}" if text.startswith(SPACES) else text)


def of_sentencepiece(tokenizer: PreTrainedTokenizerBase, model: Any) -> TokenizerBackend:
    """A tokenizer that runs SentencePiece itself."""
    pieces = [model.id_to_piece(at) for at in range(len(model))]
    word = next((piece for piece in pieces if piece.startswith("▁") and len(piece) > 1), None)
    prepends_space = word is not None and not model.decode_pieces([word]).startswith(" ")
    special = {at for at in range(len(pieces)) if model.is_control(at) or model.is_unknown(at)}
    special |= {index for index, token in tokenizer.added_tokens_decoder.items() if token.special}
    names = tokenizer.special_tokens_map
    ids = {role: index for role in names if (index := id_of(tokenizer, names[role])) is not None}
    special |= set(ids.values())
    plain, full = encode_plain(tokenizer, "a"), tokenizer.encode("a")
    at = next((at for at in range(len(full)) if full[at : at + len(plain)] == plain), 0)
    size = len(tokenizer)
    plain_encoder = partial(encode_plain, tokenizer)
    literal = partial(encode_plain, tokenizer, split_special_tokens=True)
    return TokenizerBackend(
        encode=plain_encoder,
        encode_after=continuation.anchored(plain_encoder),
        encode_literal=literal,
        encode_literal_after=continuation.anchored(literal),
        name=lambda index: name_of(tokenizer, index),
        decoder=token_bytes.of_sentencepiece(prepends_space=prepends_space),
        size=size,
        text_size=1 + max((index for index in range(size) if index not in special), default=-1),
        special=frozenset(special),
        prefix=tuple(full[:at]),
        bos_id=ids.get(special_tokens.BEGIN, full[0] if at == 1 else None),
        eos_id=ids.get(special_tokens.END),
    )


def encode_plain(tokenizer: PreTrainedTokenizerBase, text: str, split_special_tokens: bool = False) -> list[int]:
    """Text to ids, without special tokens around it; with `split_special_tokens` also without any in it."""
    ids: list[int] = tokenizer.encode(
        text, add_special_tokens=False, verbose=False, split_special_tokens=split_special_tokens
    )
    return ids


def id_of(tokenizer: PreTrainedTokenizerBase, name: str) -> int | None:
    """A token's id; None for unknown names, for which transformers returns the unknown token."""
    index = tokenizer.convert_tokens_to_ids(name)
    return index if isinstance(index, int) and name_of(tokenizer, index) == name else None


def name_of(tokenizer: PreTrainedTokenizerBase, index: int) -> str | None:
    """A token's name; None for unused ids."""
    found = tokenizer.convert_ids_to_tokens(index)
    return found if isinstance(found, str) else None
