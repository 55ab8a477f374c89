"""The lexicon of a folder that has no tokenizer.json, as transformers reads its other files. Knows no model."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sentencepiece
from tokenizers import Tokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from inference_server.errors import LoadFailed
from inference_server.tokenizer import special_tokens, token_bytes, tokenizer_json
from inference_server.tokenizer.special_tokens import SpecialTokens, first_line
from inference_server.tokenizer.tokenizer_json import TokenizerBackend

FILES = ("*.model", "vocab.*", "tekken.json", "*.tiktoken")
BLANKS = (" ", "▁")


def read(folder: Path) -> TokenizerBackend:
    """The lexicon of a folder's vocabulary files. Raises LoadFailed, or UnknownDecoder."""
    if not any(path for pattern in FILES for path in folder.glob(pattern)):  # some classes would start empty
        raise LoadFailed("no tokenizer files (tokenizer.json, tokenizer.model or vocab.json); add them")
    for name in (special_tokens.CONFIG, special_tokens.MAP, "config.json"):
        special_tokens.read_object(folder / name)
    tokenizer = load(folder)
    if isinstance(tokenizer, PreTrainedTokenizerFast):
        return of_fast(tokenizer, folder)
    if (pieces := getattr(tokenizer, "sp_model", None)) is not None:
        return of_sentencepiece(tokenizer, pieces)
    raise LoadFailed(
        f"its tokenizer, {type(tokenizer).__name__}, exists only as Python code with spelling rules of its own; "
        "use a model that ships a tokenizer.json"
    )


def load(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer that transformers makes of a folder. Raises LoadFailed."""
    os.environ.setdefault("TIKTOKEN_CACHE_DIR", "")  # its cache goes by path and would miss that a file has changed
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, mistral_format=False
        )
    except ImportError as error:
        raise LoadFailed(f"its tokenizer needs more than is installed ({first_line(error)})") from error
    except Exception as error:  # whatever transformers and the libraries below it raise at a file they can't read
        if "trust_remote_code" in str(error):
            raise LoadFailed(
                "its tokenizer is Python code shipped with the model, which this server never runs; "
                "use a model that ships a tokenizer.json"
            ) from error
        gist = first_line(error).replace(f"{folder}{os.sep}", "")
        raise LoadFailed(f"its tokenizer can't be read ({gist}); fetch its files anew") from error
    return tokenizer


def of_fast(tokenizer: PreTrainedTokenizerFast, folder: Path) -> TokenizerBackend:
    """The lexicon of a tokenizer that transformers has put together from parts of the tokenizers library."""
    if type(tokenizer)._decode is not PreTrainedTokenizerFast._decode:
        raise token_bytes.UnknownDecoder(f"{type(tokenizer).__name__} decodes in its own way")
    backend = tokenizer.backend_tokenizer
    return tokenizer_json.of_backend(backend, SpecialTokens(tokenizer.special_tokens_map), reader(backend, folder))


def reader(backend: Tokenizer, folder: Path) -> Callable[[str], list[int]]:
    """How to read text, so that a blank in front of it counts as SentencePiece counts it.

    SentencePiece puts a blank in front of every text, also of one that begins with a blank; what transformers builds
    instead puts none in front of those, and " a" would be read as "a".
    """
    plain = tokenizer_json.reader(backend)
    model = folder / "tokenizer.model"
    try:
        judge = sentencepiece.SentencePieceProcessor(model_file=str(model)) if model.is_file() else None
    except RuntimeError:  # a file of another kind by that name, such as tiktoken's
        judge = None
    if judge is None or judge.encode(" a") == plain(" a") or judge.encode(" a") != plain("  a"):
        return plain
    return lambda text: plain(f" {text}" if text.startswith(BLANKS) else text)


def of_sentencepiece(tokenizer: PreTrainedTokenizerBase, model: Any) -> TokenizerBackend:
    """The lexicon of a tokenizer that runs SentencePiece itself, spelled as SentencePiece does."""
    pieces = [model.id_to_piece(at) for at in range(len(model))]
    word = next((piece for piece in pieces if piece.startswith("▁") and len(piece) > 1), None)
    in_front = word is not None and not model.decode_pieces([word]).startswith(" ")
    marks = {at for at in range(len(pieces)) if model.is_control(at) or model.is_unknown(at)}
    marks |= {index for index, token in tokenizer.added_tokens_decoder.items() if token.special}
    names = tokenizer.special_tokens_map
    ids = {role: index for role in names if (index := id_of(tokenizer, names[role])) is not None}
    marks |= set(ids.values())
    alone, framed = bare(tokenizer, "a"), tokenizer.encode("a")
    at = next((at for at in range(len(framed)) if framed[at : at + len(alone)] == alone), 0)
    size = len(tokenizer)
    return TokenizerBackend(
        read=lambda text: bare(tokenizer, text),
        name=lambda index: name_of(tokenizer, index),
        spelling=token_bytes.of_sentencepiece(space_in_front=in_front),
        size=size,
        text_size=1 + max((index for index in range(size) if index not in marks), default=-1),
        special=frozenset(marks),
        prefix=tuple(framed[:at]),
        bos_id=ids.get(special_tokens.BEGIN, framed[0] if at == 1 else None),
        eos_id=ids.get(special_tokens.END),
    )


def bare(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """The ids of a text with no special token put around it."""
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False, verbose=False)
    return ids


def id_of(tokenizer: PreTrainedTokenizerBase, name: str) -> int | None:
    """A token's id by its name; None where the tokenizer has no such token, for which it would give its unknown one."""
    index = tokenizer.convert_tokens_to_ids(name)
    return index if isinstance(index, int) and name_of(tokenizer, index) == name else None


def name_of(tokenizer: PreTrainedTokenizerBase, index: int) -> str | None:
    """What a tokenizer calls a token; None for an id it skips."""
    found = tokenizer.convert_ids_to_tokens(index)
    return found if isinstance(found, str) else None
