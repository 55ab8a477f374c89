"""A model's end-of-text ids, from its configuration files."""

from pathlib import Path
from typing import Any

from inference_server.errors import LoadFailed
from inference_server.models.checkpoint import read_json

GENERATION = "generation_config.json"
CONFIG = "config.json"
NAME = "eos_token_id"


def stated(folder: Path) -> tuple[int, ...]:
    """The eos_token_ids in generation_config.json, or else in config.json; possibly none. Raises LoadFailed.

    This is what transformers does when generating. Defaults of configuration classes are ignored: they are ids of some
    other model.
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
    """The distinct ids that exist in the model, in ascending order; some files write -1 for none."""
    return tuple(sorted({token_id for token_id in ids if token_id is not None and 0 <= token_id < vocab_size}))


def _ids(part: Any, name: str) -> tuple[int, ...]:
    value = part.get(NAME) if isinstance(part, dict) else None
    ids = value if isinstance(value, list) else [] if value is None else [value]
    if not all(type(token_id) is int for token_id in ids):
        raise LoadFailed(f"{name}: {NAME} must be a token id or a list of token ids; download the file again")
    return tuple(ids)
