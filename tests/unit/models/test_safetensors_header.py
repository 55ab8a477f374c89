"""A safetensors file's header, believed where all of it fits the file: what the library writes, and damage to it."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from inference_server.errors import LoadFailed
from inference_server.models import safetensors_header
from inference_server.models.safetensors_header import Tensor

ONE: dict[str, Any] = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


def written(path: Path, header: object, size: int = 8, length: int | None = None) -> Path:
    content = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(content) if length is None else length) + content + bytes(size))
    return path


def test_what_the_library_writes_is_read(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"a": np.zeros((2, 3), np.float16), "b": np.zeros((), np.int64)}, path, metadata={"format": "pt"})
    found = safetensors_header.read(path)
    assert {name: (tensor.kind, tensor.shape) for name, tensor in found.items()} == {
        "a": ("F16", (2, 3)),
        "b": ("I64", ()),
    }
    assert (found["a"].elements, found["a"].bytes, found["b"].elements) == (6, 12, 1)


def test_half_bytes_are_counted(tmp_path: Path) -> None:
    header = {"a": {"dtype": "F4", "shape": [4], "data_offsets": [0, 2]}}
    assert safetensors_header.read(written(tmp_path / "w", header, 2)) == {"a": Tensor("F4", (4,), 0, 2)}


@pytest.mark.parametrize(
    ("header", "size", "words"),
    [
        ([], 0, "not a JSON object"),
        (b"{", 0, "corrupt"),
        (b'{"a": 1, "a": 1}', 0, "duplicate key"),
        ({"a": 1}, 8, "a is not a JSON object"),
        ({"a": {**ONE, "dtype": "F7"}}, 8, "unknown dtype"),
        ({"a": {**ONE, "shape": [-2]}}, 8, "invalid shape"),
        ({"a": {**ONE, "shape": [True, 2]}}, 8, "invalid shape"),
        ({"a": {**ONE, "data_offsets": [0]}}, 8, "invalid data_offsets"),
        ({"a": {**ONE, "shape": [3]}}, 8, "shape and data_offsets disagree"),
        ({"a": ONE, "b": ONE}, 8, "overlaps"),
        ({"a": {**ONE, "data_offsets": [4, 12]}}, 12, "leaves a gap"),
        ({"a": ONE}, 7, "should take 8 bytes, not 7"),
        ({"a": ONE}, 9, "should take 8 bytes, not 9"),
    ],
)
def test_a_header_that_does_not_fit_is_told_with_the_files_name(
    tmp_path: Path, header: object, size: int, words: str
) -> None:
    with pytest.raises(LoadFailed, match=words) as refused:
        safetensors_header.read(written(tmp_path / "model.safetensors", header, size))
    assert "model.safetensors" in str(refused.value)


@pytest.mark.parametrize("length", [1 << 40, 1 << 63])
def test_a_header_longer_than_the_file_is_not_read(tmp_path: Path, length: int) -> None:
    with pytest.raises(LoadFailed, match="longer than the file"):
        safetensors_header.read(written(tmp_path / "w", {}, length=length))


def test_files_that_are_not_there_or_too_short(tmp_path: Path) -> None:
    with pytest.raises(LoadFailed, match="is missing"):
        safetensors_header.read(tmp_path / "w")
    (tmp_path / "w").write_bytes(b"abc")
    with pytest.raises(LoadFailed, match="truncated or corrupt"):
        safetensors_header.read(tmp_path / "w")


def test_a_deep_header_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LoadFailed, match="nested too deeply"):
        safetensors_header.read(written(tmp_path / "w", b"[" * 200_000))


def test_long_names_are_cut() -> None:
    assert safetensors_header.short("a" * 100) == "a" * 100
    assert safetensors_header.short("a" * 101) == "a" * 97 + "..."
