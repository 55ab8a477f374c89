"""A model's files before they are loaded: which there are, whether they are whole, what they weigh. Knows no torch.

Only safetensors count: their headers say everything about their tensors, and reading them runs no code.
"""

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference_server.errors import LoadFailed

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
MAX_HEADER_BYTES = 100_000_000  # the format's own limit
CONTEXT_NAMES = (
    "max_position_embeddings",
    "n_positions",
    "n_ctx",
    "max_sequence_length",
    "max_seq_len",
    "seq_length",
)
UNSTATED_CONTEXT = 32_768  # where nothing states one, as with state-space models
MAX_STATED_CONTEXT = 100_000_000  # tokenizers write 1e30 for "not stated"
FLOATS = {"F64", "F32", "F16", "BF16"}  # what loading converts to the dtype we compute in


@dataclass(frozen=True, slots=True)
class Weights:
    """What the checkpoint holds: elements that loading converts and their kinds, and the bytes of all others."""

    float_elements: int
    other_bytes: int
    kinds: frozenset[str]  # of FLOATS

    def bytes_at(self, element_bytes: int) -> int:
        """Memory for the weights with floats of that many bytes."""
        return self.float_elements * element_bytes + self.other_bytes


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object in a file. Raises LoadFailed where there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as missing:
        raise LoadFailed(f"no {path.name}: the folder holds no model that transformers can read") from missing
    except (OSError, ValueError, RecursionError) as broken:
        raise LoadFailed(f"{path.name} can't be read: {broken}; fetch it again") from broken
    if not isinstance(found, dict):
        raise LoadFailed(f"{path.name} is not a JSON object; fetch it again")
    return found


def context_limit(config: object, folder: Path) -> int:
    """The most tokens a model reads: what its configuration states, else its tokenizer, else UNSTATED_CONTEXT."""
    stated = [getattr(config, name, None) for name in CONTEXT_NAMES]
    if (folder / "tokenizer_config.json").is_file():
        stated.append(read_json(folder / "tokenizer_config.json").get("model_max_length"))
    sane = (int(n) for n in stated if isinstance(n, int | float) and 0 < n <= MAX_STATED_CONTEXT)
    return next(sane, UNSTATED_CONTEXT)


def inspect(folder: Path) -> Weights:
    """Reads the headers of a folder's weights.

    Raises LoadFailed where there are no safetensors weights, or one of their files is missing, truncated or broken.
    """
    floats = others = 0
    kinds = set()
    for path in _files(folder):
        for tensor in _tensors(path).values():
            if tensor["dtype"] in FLOATS:
                floats += math.prod(tensor["shape"])
                kinds.add(tensor["dtype"])
            else:
                first, last = tensor["data_offsets"]
                others += last - first
    return Weights(floats, others, frozenset(kinds))


def _files(folder: Path) -> list[Path]:
    if (folder / SINGLE).is_file():
        return [folder / SINGLE]
    if (folder / INDEX).is_file():
        shards = read_json(folder / INDEX).get("weight_map")
        if not isinstance(shards, dict) or not shards:
            raise LoadFailed(f"{INDEX} names no files; fetch it again")
        return [folder / str(name) for name in sorted(set(shards.values()))]
    others = ", ".join(sorted(path.name for path in folder.glob("*.bin"))[:3])
    raise LoadFailed(
        "no safetensors weights" + (f" (only {others}, which could hold code and is never opened)" if others else "")
    )


def _tensors(path: Path) -> Mapping[str, Any]:
    """The tensors that a safetensors file's header lists, once its length is found to fit them."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > min(size - 8, MAX_HEADER_BYTES):
                raise ValueError("its header does not fit the file")
            tensors: dict[str, Any] = json.loads(file.read(length))
        tensors.pop("__metadata__", None)
        end = max((tensor["data_offsets"][1] for tensor in tensors.values()), default=0)
        if size != 8 + length + end:
            raise ValueError(f"it should be {8 + length + end:,} bytes long, not {size:,}")
    except FileNotFoundError as missing:
        raise LoadFailed(f"the weights file {path.name} is missing; fetch it") from missing
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error) as broken:
        raise LoadFailed(f"the weights file {path.name} is truncated or broken: {broken}; fetch it again") from broken
    return tensors
