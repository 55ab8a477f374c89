"""A checkpoint's files before loading: which there are, whether they are complete, how large they are.

Only safetensors files are read: their headers describe every tensor, and they can't contain code.
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
QUANTISED = "hf_quant_config.json"  # written by other quantisation tools
MAX_JSON_BYTES = 100_000_000
DISTRIBUTED = re.compile(r"shard-\d{5}-model-\d{5}-of-\d{5}\.safetensors")  # transformers prefers these
CONTEXT_NAMES = (
    "max_target_positions",  # of the decoder, in encoder-decoder models
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
UNSTATED_CONTEXT = 32_768  # for models without a stated limit, such as state-space models
MAX_STATED_CONTEXT = 100_000_000  # tokenizers write 1e30 for "unlimited"
FLOATS = {"F64", "F32", "F16", "BF16"}  # converted to the compute dtype at load


@dataclass(frozen=True)
class Weights:
    """A checkpoint's tensors by name."""

    tensors: Mapping[str, Tensor] = field(repr=False)

    @cached_property
    def float_elements(self) -> int:
        """Elements that are converted at load."""
        return sum(tensor.elements for tensor in self.tensors.values() if tensor.kind in FLOATS)

    @cached_property
    def kinds(self) -> frozenset[str]:
        """The float dtypes in use."""
        return frozenset(tensor.kind for tensor in self.tensors.values()) & FLOATS

    @property
    def elements(self) -> int:
        return sum(tensor.elements for tensor in self.tensors.values())

    @property
    def bytes(self) -> int:
        return sum(tensor.bytes for tensor in self.tensors.values())


def read_json(path: Path) -> dict[str, Any]:
    """A file's JSON object. Raises LoadFailed, naming the file."""
    check_link(path)
    if not path.exists():
        raise LoadFailed(f"no {path.name}: not a model that transformers can load")
    try:
        if not path.is_file() or path.stat().st_size > MAX_JSON_BYTES:
            raise LoadFailed(f"{path.name} is not a regular file of at most {MAX_JSON_BYTES // 1_000_000} MB")
        found = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_without_conflicts)
    except OSError as broken:
        raise LoadFailed(f"{path.name} can't be read: {broken.strerror}") from broken
    except RecursionError as deep:
        raise LoadFailed(f"{path.name} can't be read: it is nested too deeply") from deep
    except ValueError as broken:
        raise LoadFailed(f"{path.name} can't be read: {broken}; download it again") from broken
    if not isinstance(found, dict):
        raise LoadFailed(f"{path.name} is not a JSON object; download it again")
    return found


def _without_conflicts(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Allows duplicate keys with equal values. Raises ValueError for conflicting ones."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found and found[key] != value:
            raise ValueError(f"conflicting values for {safetensors_header.short(key)!r}")
        found[key] = value
    return found


def check_link(path: Path) -> None:
    """Raises LoadFailed for a broken symbolic link."""
    if path.is_symlink() and not path.exists():
        raise LoadFailed(f"{path.name} is a broken link to {path.readlink().name}")


def context_limit(config: object, folder: Path) -> int:
    """From the model's configuration, else its tokenizer's, else UNSTATED_CONTEXT."""
    stated = [getattr(config, name, None) for name in CONTEXT_NAMES]
    if (folder / "tokenizer_config.json").is_file():
        stated.append(read_json(folder / "tokenizer_config.json").get("model_max_length"))
    for length in stated:
        if isinstance(length, int | float) and type(length) is not bool and 0 < length <= MAX_STATED_CONTEXT:
            return int(length)
    return UNSTATED_CONTEXT


def inspect(folder: Path) -> Weights:
    """Reads the headers of a folder's weights. Raises LoadFailed if files are missing, truncated or corrupt."""
    tensors: dict[str, Tensor] = {}
    for path in files(folder):
        check_link(path)
        found = safetensors_header.read(path)
        for name in found.keys() & tensors.keys():
            raise LoadFailed(f"{path.name} contains {safetensors_header.short(name)}, as does another weights file")
        tensors |= found
    return Weights(tensors)


def shards(index: Path) -> list[str]:
    """The weight files that an index lists. Raises LoadFailed for unusable names."""
    named = read_json(index).get("weight_map")
    if not isinstance(named, dict) or not named:
        raise LoadFailed(f"{index.name} lists no files; download it again")
    for name in named.values():
        if not isinstance(name, str) or not is_inside(name) or not name.endswith(".safetensors"):
            raise LoadFailed(
                f"{index.name} lists {safetensors_header.short(repr(name))}, not a safetensors file in its folder"
            )
    return sorted(set(named.values()))


def is_inside(name: str) -> bool:
    """Whether a relative path stays inside its folder on every operating system."""
    parts = name.split("/")
    return not (any(part in ("", ".", "..") for part in parts) or re.search(r"[\\:\0-\x1f]", name))


def check_names(names: Iterable[str]) -> None:
    """Raises LoadFailed for files that transformers would read instead of the weights."""
    for name in names:
        if DISTRIBUTED.fullmatch(name):
            raise LoadFailed(f"{name} is part of a distributed checkpoint, which is not supported; save it as {SINGLE}")


def files(folder: Path) -> list[Path]:
    """A folder's weights files. Raises LoadFailed if there are none."""
    names = sorted(path.name for path in folder.iterdir())
    check_names(names)
    if SINGLE in names:
        return [folder / SINGLE]
    if INDEX in names:
        return [folder / name for name in shards(folder / INDEX)]
    others = ", ".join([name for name in names if name.endswith(".bin")][:3])
    raise LoadFailed(
        "no safetensors weights"
        + (f" (only {others}: pickle files can run code and are never opened)" if others else "")
    )
