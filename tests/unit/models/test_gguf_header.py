"""A GGUF file's header, believed where all of it fits the file: what gguf writes, and damage to it."""

import random
import resource
import struct
from pathlib import Path

import gguf
import numpy as np
import pytest

from inference_server.errors import LoadFailed
from inference_server.models import gguf_header
from inference_server.models.gguf_header import ARRAY, STRING

U32, U64, F32 = 4, 10, 6


def text(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(raw)) + raw


def pair(key: str, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def entry(name: str = "a", shape: tuple[int, ...] = (32,), kind: int = 0, offset: int = 0) -> bytes:
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


def written(
    path: Path,
    pairs: list[bytes] | None = None,
    entries: list[bytes] | None = None,
    data: int = 128,
    magic: bytes = b"GGUF",
    version: int = 3,
    counts: tuple[int, int] | None = None,
) -> Path:
    pairs, entries = pairs or [], entries or []
    tensors, keys = counts or (len(entries), len(pairs))
    head = magic + struct.pack("<IQQ", version, tensors, keys) + b"".join(pairs + entries)
    path.write_bytes(head + bytes(-len(head) % 32 + data))
    return path


def test_what_gguf_writes_is_read(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(64)
    writer.add_add_bos_token(True)
    writer.add_token_list(["a", "ü", "<s>"])
    writer.add_token_types([1, 1, 3])
    writer.add_rope_freq_base(5e5)
    writer.add_tensor("norm", np.ones(5, np.float32))
    blocks = gguf.quants.quantize(np.ones((3, 64), np.float32), gguf.GGMLQuantizationType.Q4_0)
    writer.add_tensor("matrix", blocks, raw_dtype=gguf.GGMLQuantizationType.Q4_0)
    for step in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file, writer.close):
        step()
    found, judge = gguf_header.read(path), gguf.GGUFReader(path)
    assert found.architecture == "llama"
    assert (found.count("llama.context_length"), found.number("llama.rope.freq_base")) == (64, 5e5)
    assert found.flag("tokenizer.ggml.add_bos_token")
    assert found.texts("tokenizer.ggml.tokens") == ["a", "ü", "<s>"]
    assert list(found.numbers("tokenizer.ggml.token_type")) == [1, 1, 3]
    for tensor in judge.tensors:
        ours = found.tensors[tensor.name]
        assert (ours.kind, ours.first, ours.bytes) == (tensor.tensor_type.name, tensor.data_offset, tensor.n_bytes)
        assert ours.shape == tuple(reversed(tensor.shape))


def test_the_tensor_types_are_those_of_gguf() -> None:
    for number, (name, *sizes) in gguf_header.DATA.items():
        kind = gguf.GGMLQuantizationType(number)
        assert (kind.name, list(gguf.GGML_QUANT_SIZES[kind])) == (name, sizes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"magic": b"GGML"}, "does not start with GGUF"),
        ({"version": 1}, "version 1"),
        ({"version": 0x03000000}, "little-endian"),
        ({"counts": (2**63, 0)}, "tensors; the limit is"),
        ({"counts": (0, 2**40)}, "keys; the limit is"),
        ({"counts": (0, 1000), "data": 0}, "ends too early"),
        ({"pairs": [text(b"x" * 2000)]}, "more than allowed"),
        ({"pairs": [struct.pack("<Q", 2**62)]}, "more than allowed"),
        ({"pairs": [pair("k", STRING, struct.pack("<Q", 2**63))]}, "more than allowed"),
        ({"pairs": [pair("k", STRING, text(b"\xff"))]}, "utf-8"),
        ({"pairs": [pair("k", 13, b"")]}, "unknown type 13"),
        ({"pairs": [pair("k", 7, b"\x02")]}, "neither true nor false"),
        ({"pairs": [pair("k", U32, b"1234")] * 2}, "twice"),
        ({"pairs": [pair("k", ARRAY, struct.pack("<IQ", ARRAY, 1))]}, "array of arrays"),
        ({"pairs": [pair("k", ARRAY, struct.pack("<IQ", STRING, 2**61))]}, "strings, more than"),
        ({"pairs": [pair("k", ARRAY, struct.pack("<IQ", U64, 2**61))]}, "numbers, more than"),
        ({"pairs": [pair("general.alignment", U32, struct.pack("<I", 48))]}, "power of two"),
        ({"pairs": [pair("general.alignment", U32, struct.pack("<I", 0))]}, "power of two"),
        ({"pairs": [pair("general.alignment", STRING, text("32"))]}, "power of two"),
        ({"entries": [entry(kind=4)]}, "unknown type 4"),
        ({"entries": [entry(kind=2**31)]}, "unknown type"),
        ({"entries": [entry(shape=(0,))]}, "invalid shape"),
        ({"entries": [entry(shape=())]}, "0 axes"),
        ({"entries": [entry(shape=(1,) * 5)]}, "5 axes"),
        ({"entries": [entry(shape=(2**40, 2**40))]}, "invalid shape"),
        ({"entries": [entry(shape=(33,), kind=2)]}, "no whole Q4_0 blocks"),
        ({"entries": [entry(offset=8)]}, "invalid offset"),
        ({"entries": [entry(offset=2**63)]}, "invalid offset"),
        ({"entries": [entry(offset=128)]}, "should end at"),
        ({"entries": [entry(shape=(33,))]}, "should end at"),
        ({"entries": [entry(), entry("b")]}, "overlaps"),
        ({"entries": [entry(), entry(offset=128)], "data": 256}, "twice"),
    ],
)
def test_damage_is_told_with_the_files_name(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    path = written(tmp_path / "damaged.gguf", **changes)  # type: ignore[arg-type]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(LoadFailed, match=rf"damaged\.gguf.*({words})"):
        gguf_header.read(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    pairs = [pair("general.architecture", STRING, text("llama")), pair("k", ARRAY, struct.pack("<IQ2f", F32, 2, 1, 2))]
    whole = written(tmp_path / "whole.gguf", pairs, [entry()])
    content = whole.read_bytes()
    assert gguf_header.read(whole).metadata["k"].tolist() == [1, 2]
    for size in range(len(content)):
        whole.write_bytes(content[:size])
        with pytest.raises(LoadFailed, match=r"whole\.gguf is truncated or corrupt"):
            gguf_header.read(whole)


def test_flipped_bits_are_read_or_refused(tmp_path: Path) -> None:
    arrays = [pair("s", ARRAY, struct.pack("<IQ", STRING, 2) + text("a") + text("b"))]
    pairs = [pair("general.architecture", STRING, text("llama")), *arrays, pair("k", F32, b"\0\0\0\0")]
    path = written(tmp_path / "flipped.gguf", pairs, [entry(), entry("b", (32,), 2, 128)], 160)
    content, draw, refused = path.read_bytes(), random.Random(0), 0
    for _ in range(2_000):
        changed = bytearray(content)
        for _ in range(draw.randint(1, 3)):
            changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
        path.write_bytes(changed)
        try:
            gguf_header.read(path)
        except LoadFailed:
            refused += 1
    assert 200 < refused < 2_000


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (pair("k", STRING, text("1")), "k is not a number"),
        (pair("k", F32, struct.pack("<f", float("nan"))), "k is not a finite number"),
        (pair("k", F32, struct.pack("<f", 1.5)), "k is not a count"),
        (pair("k", 5, struct.pack("<i", -1)), "k is not a count"),
        (pair("k", 7, b"\x01"), "k is not a finite number"),
        (pair("other", 7, b"\x01"), "it has no k"),
    ],
)
def test_a_value_of_another_type_is_refused(tmp_path: Path, value: bytes, words: str) -> None:
    header = gguf_header.read(written(tmp_path / "w.gguf", [value]))
    with pytest.raises(LoadFailed, match=rf"w\.gguf: {words}"):
        header.count("k")
    with pytest.raises(LoadFailed, match=r"not an array of strings|has no"):
        header.texts("k" if "k" in header.metadata else "other")


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(LoadFailed, match=r"weights file m\.gguf is missing"):
        gguf_header.read(tmp_path / "m.gguf")
