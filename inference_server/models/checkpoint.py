"""A model's files before they are loaded: which there are, whether they are whole, what they weigh. Knows no torch.

Only safetensors count: their headers say everything about their tensors, and reading them runs no code.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from inference_server.errors import LoadFailed
from inference_server.models import safetensors_header
from inference_server.models.safetensors_header import Tensor

CONFIG = "config.json"
SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
QUANTISED = "hf_quant_config.json"  # how another tool quantised the weights
MAX_JSON_BYTES = 100_000_000
DISTRIBUTED = re.compile(r"shard-\d{5}-model-\d{5}-of-\d{5}\.safetensors")  # transformers prefers these to all others
CONTEXT_NAMES = (
    "max_target_positions",  # a decoder's, where there are an encoder's too
    "max_position_embeddings",
    "n_positions",
    "n_ctx",
    "max_sequence_length",
    "max_seq_length",
    "max_seq_len",
    "seq_length",
    "context_length",
    "max_context_length",
    "model_max_length",
)
UNSTATED_CONTEXT = 32_768  # where nothing states one, as with state-space models
MAX_STATED_CONTEXT = 100_000_000  # tokenizers write 1e30 for "not stated"
FLOATS = {"F64", "F32", "F16", "BF16"}  # what loading converts to the dtype we compute in


@dataclass(frozen=True)
class Weights:
    """The tensors of a checkpoint by name."""

    tensors: Mapping[str, Tensor] = field(repr=False)

    @cached_property
    def float_elements(self) -> int:
        """How many elements loading converts."""
        return sum(tensor.elements for tensor in self.tensors.values() if tensor.kind in FLOATS)

    @cached_property
    def kinds(self) -> frozenset[str]:
        """Which kinds of them there are, of FLOATS."""
        return frozenset(tensor.kind for tensor in self.tensors.values()) & FLOATS

    @property
    def elements(self) -> int:
        """Of all tensors, as they lie in the files."""
        return sum(tensor.elements for tensor in self.tensors.values())

    @property
    def bytes(self) -> int:
        return sum(tensor.bytes for tensor in self.tensors.values())


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object in a file. Raises LoadFailed, naming the file, where there is none."""
    check_link(path)
    if not path.exists():
        raise LoadFailed(f"no {path.name}: the folder holds no model that transformers can read")
    try:
        if not path.is_file() or path.stat().st_size > MAX_JSON_BYTES:
            raise LoadFailed(f"{path.name} is no file of at most {MAX_JSON_BYTES // 1_000_000} MB")
        found = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_agreeing)
    except OSError as broken:
        raise LoadFailed(f"{path.name} can't be read: {broken.strerror}") from broken
    except RecursionError as deep:
        raise LoadFailed(f"{path.name} can't be read: it is nested too deeply") from deep
    except ValueError as broken:
        raise LoadFailed(f"{path.name} can't be read: {broken}; fetch it again") from broken
    if not isinstance(found, dict):
        raise LoadFailed(f"{path.name} is not a JSON object; fetch it again")
    return found


def _agreeing(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object as the last of equal keys decide it. Raises ValueError where they contradict each other."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found and found[key] != value:
            raise ValueError(f"it says two things of {safetensors_header.short(key)!r}")
        found[key] = value
    return found


def check_link(path: Path) -> None:
    """Raises LoadFailed where a path is a link to nothing."""
    if path.is_symlink() and not path.exists():
        raise LoadFailed(f"{path.name} is a link to {path.readlink().name}, which is not there")


def context_limit(config: object, folder: Path) -> int:
    """The most tokens a model reads: what its configuration states, else its tokenizer, else UNSTATED_CONTEXT."""
    stated = [getattr(config, name, None) for name in CONTEXT_NAMES]
    if (folder / "tokenizer_config.json").is_file():
        stated.append(read_json(folder / "tokenizer_config.json").get("model_max_length"))
    for length in stated:
        if isinstance(length, int | float) and type(length) is not bool and 0 < length <= MAX_STATED_CONTEXT:
            return int(length)
    return UNSTATED_CONTEXT


def inspect(folder: Path) -> Weights:
    """Reads the headers of a folder's weights.

    Raises LoadFailed where there are no safetensors weights, or one of their files is missing, truncated or broken.
    """
    tensors: dict[str, Tensor] = {}
    for path in _files(folder):
        check_link(path)
        found = safetensors_header.read(path)
        for name in found.keys() & tensors.keys():
            raise LoadFailed(
                f"{path.name} holds {safetensors_header.short(name)}, which another of the weights files holds too"
            )
        tensors |= found
    return Weights(tensors)


def shards(index: Path) -> list[str]:
    """The files that an index names, relative to its folder. Raises LoadFailed where there are none it may name."""
    named = read_json(index).get("weight_map")
    if not isinstance(named, dict) or not named:
        raise LoadFailed(f"{index.name} names no files; fetch it again")
    for name in named.values():
        if not isinstance(name, str) or not is_inside(name) or not name.endswith(".safetensors"):
            raise LoadFailed(
                f"{index.name} names {safetensors_header.short(repr(name))}, which is no safetensors file beside it"
            )
    return sorted(set(named.values()))


def is_inside(name: str) -> bool:
    """Whether a name, as a path, stays within its folder on every system."""
    parts = name.split("/")
    return not (any(part in ("", ".", "..") for part in parts) or re.search(r"[\\:\0-\x1f]", name))


def check_names(names: Iterable[str]) -> None:
    """Raises LoadFailed for files that would be read in place of the weights."""
    for name in names:
        if DISTRIBUTED.fullmatch(name):
            raise LoadFailed(f"{name} belongs to a checkpoint of another form (distributed); save it as {SINGLE}")


def _files(folder: Path) -> list[Path]:
    names = sorted(path.name for path in folder.iterdir())
    check_names(names)
    if SINGLE in names:
        return [folder / SINGLE]
    if INDEX in names:
        return [folder / name for name in shards(folder / INDEX)]
    others = ", ".join([name for name in names if name.endswith(".bin")][:3])
    raise LoadFailed(
        "no safetensors weights" + (f" (only {others}, which could hold code and is never opened)" if others else "")
    )
