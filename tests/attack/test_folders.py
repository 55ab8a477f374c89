"""Hostile weights: each folder is refused in words that name the file and the fault, before it takes memory or time."""

import json
import os
import shutil
import struct
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch

from attack.folders import DEEP, WEIGHTS, build, refusal

INDEX = "model.safetensors.index.json"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("sound"))


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "hostile"))


def write_header(folder: Path, header: bytes, content: bytes = b"") -> None:
    (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(header)) + header + content)


def tensor(**changes: Any) -> dict[str, Any]:
    return {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} | changes


def without(part: str) -> dict[str, Any]:
    return {name: value for name, value in tensor().items() if name != part}


HEADERS: dict[str, tuple[Any, str]] = {
    "no dtype": ({"w": without("dtype")}, "w has an unknown dtype"),
    "dtype unknown": ({"w": tensor(dtype="F7")}, "w has an unknown dtype"),
    "dtype a list": ({"w": tensor(dtype=["F32"])}, "w has an unknown dtype"),
    "no shape": ({"w": without("shape")}, "w has an invalid shape"),
    "shape a string": ({"w": tensor(shape="2")}, "w has an invalid shape"),
    "shape of strings": ({"w": tensor(shape=["2"])}, "w has an invalid shape"),
    "shape of fractions": ({"w": tensor(shape=[2.0])}, "w has an invalid shape"),
    "shape of truths": ({"w": tensor(shape=[True, 2])}, "w has an invalid shape"),
    "negative": ({"w": tensor(shape=[-1, -2])}, "w has an invalid shape"),
    "huge": ({"w": tensor(shape=[2**62, 2**62])}, "w: shape and data_offsets disagree"),
    "beyond numbers": ({"w": tensor(shape=[2**70])}, "w has an invalid shape"),
    "many axes": ({"w": tensor(shape=[1] * 100_000)}, "w has an invalid shape"),
    "no offsets": ({"w": without("data_offsets")}, "w has invalid data_offsets"),
    "one offset": ({"w": tensor(data_offsets=[8])}, "w has invalid data_offsets"),
    "offsets turned round": ({"w": tensor(data_offsets=[8, 0])}, "w: shape and data_offsets disagree"),
    "negative offset": ({"w": tensor(data_offsets=[-8, 0])}, "w has invalid data_offsets"),
    "overlap": ({"v": tensor(), "w": tensor(data_offsets=[4, 12])}, "w overlaps the previous tensor"),
    "the same place": ({"v": tensor(), "w": tensor()}, "w overlaps the previous tensor"),
    "a hole": ({"v": tensor(), "w": tensor(data_offsets=[12, 20])}, "or leaves a gap"),
    "beyond the end": ({"w": tensor(shape=[99], data_offsets=[0, 396])}, "should take 396 bytes, not 8"),
    "no tensors": ({}, "should take 0 bytes, not 8"),
    "no object": ({"w": 5}, "w is not a JSON object"),
    "a list": ([1, 2], "its header is not a JSON object"),
    "a number": (5, "its header is not a JSON object"),
    "deep": (b"[" * DEEP, "its header is nested too deeply"),
    "deep objects": (b'{"a":' * DEEP, "its header is nested too deeply"),
    "named twice": (b'{"w":{},"w":{}}', "its header has a duplicate key"),
    "no UTF-8": (b'{"\xff": 1}', "can't decode byte 0xff"),
    "a number of digits": (b'{"w": ' + b"9" * 10_000 + b"}", "corrupt: "),
    "a long name": ({"w" * 10_000: 5}, "w... is not a JSON object"),
}


@pytest.mark.parametrize("fault", HEADERS)
def test_a_header_that_contradicts_itself(folder: Path, fault: str) -> None:
    header, words = HEADERS[fault]
    write_header(folder, header if isinstance(header, bytes) else json.dumps(header).encode(), bytes(8))
    reason = refusal(folder)
    assert reason.startswith(f"weights file {WEIGHTS} is ")
    assert words in reason


INDICES: dict[str, tuple[bytes, str]] = {
    "a list": (b'{"weight_map": ["a", "b"]}', "lists no files"),
    "empty": (b'{"weight_map": {}}', "lists no files"),
    "none": (b"{}", "lists no files"),
    "numbers": (b'{"weight_map": {"w": 5}}', "lists 5, not a safetensors file"),
    "lists": (b'{"weight_map": {"w": ["a"]}}', "lists ['a'], not a"),
    "up": (b'{"weight_map": {"w": "../sound/model.safetensors"}}', "'../sound/model.safetensors', not a"),
    "root": (b'{"weight_map": {"w": "/etc/passwd"}}', "lists '/etc/passwd', not a"),
    "backslash": (b'{"weight_map": {"w": "..\\\\x.safetensors"}}', "not a safetensors file in its folder"),
    "a pickle": (b'{"weight_map": {"w": "pytorch_model.bin"}}', "lists 'pytorch_model.bin', not a"),
    "absent": (b'{"weight_map": {"w": "x.safetensors"}}', "weights file x.safetensors is missing"),
    "twice": (b'{"weight_map": {"w": "a.safetensors", "w": "b.safetensors"}}', "conflicting values for 'w'"),
    "deep": (b"[" * DEEP, "can't be read: it is nested too deeply"),
}


@pytest.mark.parametrize("fault", INDICES)
def test_an_index_that_makes_no_sense(folder: Path, fault: str) -> None:
    content, words = INDICES[fault]
    (folder / WEIGHTS).unlink()
    (folder / INDEX).write_bytes(content)
    reason = refusal(folder)
    assert words in reason
    assert reason.startswith(INDEX) or fault == "absent"


def test_files_that_are_none(folder: Path) -> None:
    (folder / "config.json").unlink()
    os.mkfifo(folder / "config.json")
    assert refusal(folder) == "config.json is not a regular file of at most 100 MB"
    (folder / "config.json").unlink()
    (folder / "config.json").mkdir()
    assert refusal(folder) == "config.json is not a regular file of at most 100 MB"
    (folder / "config.json").rmdir()
    with (folder / "config.json").open("wb") as file:
        file.truncate(10**12)
    assert refusal(folder) == "config.json is not a regular file of at most 100 MB"


def test_weights_of_another_form_are_not_read_in_their_place(folder: Path) -> None:
    """transformers would take them, whatever model.safetensors holds."""
    shutil.copy(folder / WEIGHTS, folder / "shard-00001-model-00001-of-00001.safetensors")
    assert "is part of a distributed checkpoint" in refusal(folder)


def damage(folder: Path, value: float) -> None:
    tensors = safetensors.torch.load_file(folder / WEIGHTS)
    tensors["model.norm.weight"][3] = value
    safetensors.torch.save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})


@pytest.mark.parametrize(("value", "words"), [(float("nan"), "not a number (NaN)"), (float("inf"), "")])
def test_logits_that_are_no_numbers(folder: Path, value: float, words: str) -> None:
    damage(folder, value)
    reason = refusal(folder)
    assert reason.startswith("its logits are ")
    assert words in reason
