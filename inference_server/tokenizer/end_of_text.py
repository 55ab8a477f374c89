"""Which tokens end a text, as a model's files say it. Knows the files; knows neither networks nor tokenizers."""

from pathlib import Path
from typing import Any

from inference_server.errors import LoadFailed
from inference_server.models.checkpoint import read_json

GENERATION = "generation_config.json"
CONFIG = "config.json"
NAME = "eos_token_id"


def stated(folder: Path) -> tuple[int, ...]:
    """The ids that end a text: generation_config.json's, or config.json's where that names none. May be none at all.

    As transformers generates: the one file takes the place of the other. What a class of configurations presumes where
    a file is silent does not count; it is the id of some other model's token. Raises LoadFailed, naming the file, where
    one can't be read or holds something else there.
    """
    for name, inside in ((GENERATION, ()), (CONFIG, ("text_config",))):
        if not (folder / name).is_file():
            continue
        found = read_json(folder / name)
        for part in (found, *(found.get(key) for key in inside)):
            ids = _ids(part, name)
            if ids:
                return ids
    return ()


def within(vocab_size: int, *ids: int | None) -> tuple[int, ...]:
    """Those that are rows of the model, each once, in ascending order; -1 stands for none in some files."""
    return tuple(sorted({token_id for token_id in ids if token_id is not None and 0 <= token_id < vocab_size}))


def _ids(part: Any, name: str) -> tuple[int, ...]:
    """The ids that one part of a file names."""
    value = part.get(NAME) if isinstance(part, dict) else None
    ids = value if isinstance(value, list) else [] if value is None else [value]
    if not all(type(token_id) is int for token_id in ids):
        raise LoadFailed(f"{name}: {NAME} must be a token id or a list of token ids; fetch the file again")
    return tuple(ids)
