"""Tensors of GGUF files as they are, and widened as gguf does it."""

from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType
from gguf.quants import dequantize, quantize

from inference_server.errors import LoadFailed
from inference_server.models import gguf_header
from inference_server.models.gguf_header import Header
from inference_server.runtime import gguf_tensors

WEIGHTS = np.random.default_rng(0).normal(size=(6, 64)).astype(np.float32)
KINDS = ("F32", "F16", "BF16", "Q4_0", "Q8_0", "TQ2_0", "MXFP4")


@pytest.fixture(scope="module")
def header(tmp_path_factory: pytest.TempPathFactory) -> Header:
    path = tmp_path_factory.mktemp("file") / "some.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    for name in KINDS:
        kind = GGMLQuantizationType[name]
        wide = np.tile(WEIGHTS, (1, 4)) if name == "TQ2_0" else WEIGHTS
        writer.add_tensor(name, quantize(wide, kind), raw_dtype=kind)
    writer.add_tensor("short", np.arange(4, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return gguf_header.read(path)


@pytest.mark.parametrize("name", KINDS)
def test_widened(header: Header, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gguf_tensors, "_PIECE", 100)  # a row at a time
    judge = next(tensor for tensor in gguf.GGUFReader(header.path).tensors if tensor.name == name)
    expected = dequantize(judge.data, judge.tensor_type)
    found = gguf_tensors.widened(header, name)
    assert found.dtype == torch.float32
    assert np.array_equal(found.numpy(), expected.reshape(found.shape))


def test_plain_ones_keep_their_bits(header: Header) -> None:
    assert torch.equal(gguf_tensors.plain(header, "BF16"), torch.from_numpy(WEIGHTS).bfloat16())
    assert gguf_tensors.rows(header, "Q4_0").shape == (6, 36)


def test_only_short_vectors_are_vectors(header: Header) -> None:
    assert gguf_tensors.vector(header, "short").tolist() == [0, 1, 2, 3]
    for name in ("absent", "F32", "Q8_0"):
        with pytest.raises(LoadFailed, match=rf"some\.gguf: {name} is missing, or no vector"):
            gguf_tensors.vector(header, name)


def test_a_file_that_became_shorter_is_refused(header: Header, tmp_path: Path) -> None:
    path = tmp_path / "short.gguf"
    path.write_bytes(header.path.read_bytes()[: header.tensors["Q8_0"].end - 1])
    with pytest.raises(LoadFailed, match=r"short\.gguf: it ends within Q8_0"):
        gguf_tensors.rows(Header(path, header.metadata, header.tensors), "Q8_0")
