"""Reads and validates safetensors headers."""

import json
import math
import struct
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from inference_server.errors import LoadFailed

MAX_HEADER_BYTES = 100_000_000  # the format's own limit
MAX_AXES = 16
BITS = {
    **dict.fromkeys(("F4",), 4),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
}
"""Bits per element of each dtype."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """`kind`: one of BITS. `first`, `end`: its bytes in the file."""

    kind: str
    shape: tuple[int, ...]
    first: int
    end: int

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        return self.end - self.first


def read(path: Path) -> dict[str, Tensor]:
    """A file's tensors by name. Raises LoadFailed if it is missing, truncated or inconsistent."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > min(size - 8, MAX_HEADER_BYTES):
                raise ValueError("its header is longer than the file")
            header = json.loads(file.read(length), object_pairs_hook=_unique)
        if not isinstance(header, dict):
            raise ValueError("its header is not a JSON object")
        header.pop("__metadata__", None)
        tensors = {name: _tensor(name, entry) for name, entry in header.items()}
        _check_extent(tensors, size - 8 - length)
    except FileNotFoundError as missing:
        raise LoadFailed(f"weights file {path.name} is missing; download it") from missing
    except RecursionError as deep:
        raise LoadFailed(f"weights file {path.name} is corrupt: its header is nested too deeply") from deep
    except OSError as broken:
        raise LoadFailed(f"weights file {path.name} can't be read: {broken.strerror}") from broken
    except (ValueError, struct.error) as broken:
        raise LoadFailed(f"weights file {path.name} is truncated or corrupt: {broken}; download it again") from broken
    return tensors


def short(name: str) -> str:
    """A name from a file, cut to fit a message."""
    return name if len(name) <= 100 else f"{name[:97]}..."


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("its header has a duplicate key")
    return found


def _tensor(name: str, entry: Any) -> Tensor:
    if not isinstance(entry, dict):
        raise ValueError(f"{short(name)} is not a JSON object")
    kind, shape, offsets = (entry.get(part) for part in ("dtype", "shape", "data_offsets"))
    if not isinstance(kind, str) or kind not in BITS:
        raise ValueError(f"{short(name)} has an unknown dtype")
    if not isinstance(shape, list) or len(shape) > MAX_AXES or not all(_is_count(axis) for axis in shape):
        raise ValueError(f"{short(name)} has an invalid shape")
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(_is_count(offset) for offset in offsets):
        raise ValueError(f"{short(name)} has invalid data_offsets")
    tensor = Tensor(kind, tuple(shape), *offsets)
    if tensor.elements * BITS[kind] != 8 * tensor.bytes:
        raise ValueError(f"{short(name)}: shape and data_offsets disagree")
    return tensor


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _check_extent(tensors: dict[str, Tensor], size: int) -> None:
    """Raises ValueError unless the tensors fill the file without gaps or overlaps."""
    spans = sorted((tensor.first, tensor.end, name) for name, tensor in tensors.items())
    for (_, end, _), (first, _, name) in pairwise([(0, 0, ""), *spans]):
        if first != end:
            raise ValueError(f"{short(name)} overlaps the previous tensor or leaves a gap")
    end = spans[-1][1] if spans else 0
    if end != size:
        raise ValueError(f"its tensors should take {end:,} bytes, not {size:,}")
