"""Reads and validates the header of a GGUF file: its metadata, and where its tensors are."""

import math
import struct
from array import array
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

from inference_server.errors import LoadFailed
from inference_server.models.safetensors_header import Tensor, short

SUFFIX = ".gguf"
LINK = "weights.gguf"  # to the file, in the folder that it is unpacked into
MAGIC = b"GGUF"
VERSIONS = (2, 3)
MAX_HEADER_BYTES = 100_000_000  # the largest published ones, with vocabularies of 260,000 tokens, take 20 MB
MAX_ENTRIES = 100_000  # metadata keys, and tensors
MAX_STRINGS = 4_000_000  # in all arrays
MAX_NAME_BYTES = 1_000
MAX_AXES = 4
ALIGNMENT = 32
DATA = {
    **{0: ("F32", 1, 4), 1: ("F16", 1, 2), 30: ("BF16", 1, 2), 28: ("F64", 1, 8)},
    **{24: ("I8", 1, 1), 25: ("I16", 1, 2), 26: ("I32", 1, 4), 27: ("I64", 1, 8)},
    **{2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22), 7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34)},
    **{10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110), 12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176)},
    **{14: ("Q6_K", 256, 210), 16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98)},
    **{19: ("IQ1_S", 256, 50), 20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110), 22: ("IQ2_S", 256, 82)},
    **{23: ("IQ4_XS", 256, 136), 29: ("IQ1_M", 256, 56), 34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66)},
    **{39: ("MXFP4", 32, 17)},
}
"""Tensor types by their number in the file: name, numbers per block, bytes per block."""
BLOCKS = {name: (numbers, size) for name, numbers, size in DATA.values()}
"""Numbers and bytes per block of each tensor type."""
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "B", 10: "Q", 11: "q", 12: "d"}
"""Value types of fixed size, as codes of `struct`; 7 is a boolean."""
BOOLEAN, STRING, ARRAY = 7, 8, 9


@dataclass(frozen=True, slots=True)
class Header:
    """`tensors` have shapes in torch's order; `first` and `end` count from the file's start."""

    path: Path
    metadata: dict[str, Any] = field(repr=False)
    tensors: dict[str, Tensor] = field(repr=False)

    @property
    def architecture(self) -> str:
        return self.text("general.architecture")

    def text(self, key: str, default: str | None = None) -> str:
        """A string. Raises LoadFailed if it is missing without a default, or of another type."""
        found: str = self._value(key, (str,), "a string", default)
        return found

    def number(self, key: str, default: float | None = None) -> Any:
        """A number, not a boolean. Raises LoadFailed as `text`; NaN and infinity are refused."""
        found = self._value(key, (int, float), "a number", default)
        if isinstance(found, bool) or not math.isfinite(found):
            raise self.fault(f"{short(key)} is not a finite number")
        return found

    def count(self, key: str, default: int | None = None) -> int:
        """A whole number of at least 0. Raises LoadFailed as `text`."""
        found = self.number(key, default)
        if not isinstance(found, int) or found < 0:
            raise self.fault(f"{short(key)} is not a count")
        return found

    def flag(self, key: str, default: bool | None = None) -> bool:
        """A boolean. Raises LoadFailed as `text`."""
        return bool(self._value(key, (bool,), "true or false", default))

    def texts(self, key: str) -> list[str]:
        """An array of strings, empty if missing. Raises LoadFailed if it is something else."""
        found = self.metadata.get(key, [])
        if not isinstance(found, list):
            raise self.fault(f"{short(key)} is not an array of strings")
        return found

    def numbers(self, key: str) -> Any:
        """An array of numbers, empty if missing. Raises LoadFailed if it is something else."""
        found = self.metadata.get(key, array("b"))
        if not isinstance(found, array):
            raise self.fault(f"{short(key)} is not an array of numbers")
        return found

    def fault(self, what: str) -> LoadFailed:
        """The error for something wrong with the file."""
        return LoadFailed(f"{self.path.name}: {what}")

    def _value(self, key: str, kinds: tuple[type, ...], called: str, default: Any) -> Any:
        found = self.metadata.get(key, default)
        if found is None:
            raise self.fault(f"it has no {key}")
        if not isinstance(found, kinds):
            raise self.fault(f"{short(key)} is not {called}")
        return found


def is_file(path: Path) -> bool:
    """Whether a path names a GGUF file."""
    return path.suffix == SUFFIX and path.is_file()


def read(path: Path) -> Header:
    """A file's header. Raises LoadFailed if it is missing, truncated or inconsistent; reads no tensor."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            return _Reader(file, size).header(path)
    except FileNotFoundError as missing:
        raise LoadFailed(f"weights file {path.name} is missing; download it") from missing
    except OSError as broken:
        raise LoadFailed(f"weights file {path.name} can't be read: {broken.strerror}") from broken
    except (ValueError, struct.error) as broken:
        raise LoadFailed(f"weights file {path.name} is truncated or corrupt: {broken}; download it again") from broken


class _Reader:
    """Reads values one after another. Every length is checked before anything is read or allocated."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size
        self._at = 0
        self._left = min(size, MAX_HEADER_BYTES)
        self._strings = 0

    def header(self, path: Path) -> Header:
        if self._take(4) != MAGIC:
            raise ValueError("it does not start with GGUF")
        (version,) = self._unpack("I")
        if version not in VERSIONS:
            raise ValueError(f"it says version {version}; versions 2 and 3 in little-endian order can be read")
        tensors, keys = self._unpack("QQ")
        for count, what in ((tensors, "tensors"), (keys, "keys")):
            if count > MAX_ENTRIES:
                raise ValueError(f"it says it has {count:,} {what}; the limit is {MAX_ENTRIES:,}")
        metadata: dict[str, Any] = {}
        for _ in range(keys):
            key = self._text(MAX_NAME_BYTES)
            if key in metadata:
                raise ValueError(f"its key {short(key)!r} is there twice")
            metadata[key] = self._value(key, *self._unpack("I"))
        alignment = metadata.get("general.alignment", ALIGNMENT)
        if type(alignment) is not int or not 1 <= alignment <= 1 << 20 or alignment & (alignment - 1):
            raise ValueError("its general.alignment is not a power of two")
        entries = [self._entry() for _ in range(tensors)]
        start = -(-self._at // alignment) * alignment
        found: dict[str, Tensor] = {}
        for name, kind, shape, offset in entries:
            if name in found:
                raise ValueError(f"its tensor {short(name)} is there twice")
            found[name] = self._tensor(name, kind, shape, offset, start, alignment)
        self._check_extent(found)
        return Header(path, metadata, found)

    def _entry(self) -> tuple[str, int, tuple[int, ...], int]:
        name = self._text(MAX_NAME_BYTES)
        (axes,) = self._unpack("I")
        if not 1 <= axes <= MAX_AXES:
            raise ValueError(f"{short(name)} has {axes} axes; 1 to {MAX_AXES} are allowed")
        shape = self._unpack(f"{axes}Q")
        kind, offset = self._unpack("IQ")
        return name, kind, tuple(reversed(shape)), offset

    def _tensor(self, name: str, kind: int, shape: tuple[int, ...], offset: int, start: int, alignment: int) -> Tensor:
        if kind not in DATA:
            raise ValueError(f"{short(name)} has the unknown type {kind}")
        called, numbers, size = DATA[kind]
        elements = math.prod(shape)
        if not 0 < elements < 2**63:
            raise ValueError(f"{short(name)} has an invalid shape")
        if shape[-1] % numbers:
            raise ValueError(f"{short(name)} has rows of {shape[-1]} numbers, which are no whole {called} blocks")
        if offset % alignment or offset >= 2**63:
            raise ValueError(f"{short(name)} has an invalid offset")
        return Tensor(called, shape, start + offset, start + offset + elements // numbers * size)

    def _check_extent(self, tensors: dict[str, Tensor]) -> None:
        """Raises ValueError unless the tensors lie in the file without overlaps."""
        spans = sorted((tensor.first, tensor.end, name) for name, tensor in tensors.items())
        for (_, end, _), (first, _, name) in pairwise(spans):
            if first < end:
                raise ValueError(f"{short(name)} overlaps the previous tensor")
        if spans and spans[-1][1] > self._size:
            raise ValueError(f"its tensors should end at {spans[-1][1]:,} bytes, the file has {self._size:,}")

    def _value(self, key: str, kind: int) -> Any:
        if kind == STRING:
            return self._text()
        if kind == ARRAY:
            return self._array(key)
        if kind not in SCALARS:
            raise ValueError(f"{short(key)} has the unknown type {kind}")
        (found,) = self._unpack(SCALARS[kind])
        if kind != BOOLEAN:
            return found
        if found > 1:
            raise ValueError(f"{short(key)} is neither true nor false")
        return bool(found)

    def _array(self, key: str) -> Any:
        kind, count = self._unpack("IQ")
        if kind == STRING:
            self._strings += count
            if self._strings > MAX_STRINGS or count > self._left // 8:
                raise ValueError(f"{short(key)} says it has {count:,} strings, more than the file can hold or is read")
            take = self._take  # not _text: there may be a million
            return [str(take(int.from_bytes(take(8), "little")), "utf-8") for _ in range(count)]
        if kind not in SCALARS:
            raise ValueError(f"{short(key)} is an array of arrays, or of an unknown type {kind}")
        found = array(SCALARS[kind])
        if count > self._left // found.itemsize:
            raise ValueError(f"{short(key)} says it has {count:,} numbers, more than the header")
        found.frombytes(self._take(count * found.itemsize))
        return found

    def _text(self, most: int = MAX_HEADER_BYTES) -> str:
        (length,) = self._unpack("Q")
        if length > min(most, self._left):
            raise ValueError(f"a string says it has {length:,} bytes, more than allowed there")
        return str(self._take(length), "utf-8")

    def _unpack(self, code: str) -> Any:
        code = f"<{code}"
        return struct.unpack(code, self._take(struct.calcsize(code)))

    def _take(self, count: int) -> bytes:
        if count > self._left:
            raise ValueError(
                "its header ends too early"
                if self._size <= MAX_HEADER_BYTES
                else f"its header is longer than {MAX_HEADER_BYTES:,} bytes"
            )
        self._at += count
        self._left -= count
        found = self._file.read(count)
        if len(found) < count:
            raise ValueError("it ends too early")
        return found
