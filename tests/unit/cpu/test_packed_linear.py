"""Layers on blocks give the numbers of gguf's own dequantisation, or packed checkpoints' own, whatever they hold."""

import gguf
import pytest
import torch
from dequantised import wide
from torch import Tensor

from inference_server.cpu import packed_linear
from inference_server.cpu.autotune import calibrate
from inference_server.cpu.kernels.layouts import LAYOUTS
from inference_server.cpu.packed_linear import (
    CODES,
    KINDS,
    PackedEmbedding,
    PackedLinear,
    ReorderedLinear,
    random_blocks,
)

each_kind = pytest.mark.parametrize("kind", CODES)


def test_the_layouts_are_those_of_gguf() -> None:
    for kind, code in KINDS.items():
        assert LAYOUTS[code] == gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]]


@each_kind
def test_a_product(kind: str) -> None:
    """By either way, alone and in tiles, on odd numbers of rows, outputs and blocks."""
    for outputs, width in ((1, 256), (37, 768), (130, 2560)):
        blocks = random_blocks(kind, outputs, width * packed_blocks(kind) // 256, seed=outputs)
        layer = PackedLinear(kind, blocks, torch.arange(outputs).float())
        for rows in (1, 2, 3, 5, 11, 40):
            x = torch.randn(1, rows, width, generator=torch.Generator().manual_seed(rows))
            expected = x.double() @ wide(kind, blocks).T + torch.arange(outputs)
            for layer.most_rows in (0, rows):
                error = (layer(x).double() - expected).abs().max() / expected.abs().max()
                assert float(error) < 1e-6


def packed_blocks(kind: str) -> int:
    """Blocks in 256 weights."""
    return 256 // LAYOUTS[CODES[kind]][0]


@each_kind
def test_rows_are_widened_as_gguf_does(kind: str) -> None:
    blocks = random_blocks(kind, 9, 3 * packed_blocks(kind), seed=4)
    ids = torch.tensor([[8, 0], [3, 3]])
    found = PackedEmbedding(kind, blocks)(ids)
    torch.testing.assert_close(found.double(), wide(kind, blocks)[ids], rtol=1e-6, atol=1e-7)
    assert torch.equal(PackedLinear(kind, blocks, None).widened_row(8), found[0, 0])
    scaled = PackedEmbedding(kind, blocks, 3.0)(ids)
    assert torch.equal(scaled, found * 3)


@each_kind
def test_no_rows_are_no_fault(kind: str) -> None:
    layer = PackedLinear(kind, random_blocks(kind, 8, packed_blocks(kind)), None)
    assert layer(torch.empty(0, layer.in_features)).shape == (0, 8)


def test_kernels_that_differ_are_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert packed_linear.trustworthy("Q4_1")
    packed_linear.trustworthy.cache_clear()
    monkeypatch.setattr(PackedLinear, "compiled", lambda self, rows, y: y.zero_())
    assert not packed_linear.trustworthy("Q4_1")
    packed_linear.trustworthy.cache_clear()


def test_the_number_of_rows_is_tuned_for_packed_layers_too() -> None:
    layer = PackedLinear("Q4_0", random_blocks("Q4_0", 64, 8), None)
    calibrate(torch.nn.Sequential(layer), budget_s=0.0)
    assert layer.most_rows > 0


def reordered() -> tuple[ReorderedLinear, Tensor]:
    """A layer whose inputs are in another order, and its weights in theirs."""
    blocks, order = random_blocks("U4", 37, 6), torch.randperm(192, generator=torch.Generator().manual_seed(1))
    weight = torch.empty(37, 192, dtype=torch.float64)
    weight[:, order] = wide("U4", blocks)
    return ReorderedLinear("U4", blocks, None, order), weight


@pytest.mark.parametrize("rows", [1, 5, 40])
def test_inputs_in_another_order(rows: int) -> None:
    layer, weight = reordered()
    x = torch.randn(2, rows, 192, generator=torch.Generator().manual_seed(rows), requires_grad=True)
    expected = x.double() @ weight.T
    for layer.most_rows in (0, 2 * rows):
        torch.testing.assert_close(layer(x).double(), expected, rtol=1e-4, atol=1e-4)
    (found,) = torch.autograd.grad(layer(x).square().sum(), x)
    (wanted,) = torch.autograd.grad(expected.square().sum(), x)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(layer.widened_row(36).double(), weight[36], rtol=1e-6, atol=1e-7)


def test_other_inputs_than_float32_are_refused() -> None:
    """Code that converts them to the dtype of `weight` would have bytes read as numbers."""
    layer = PackedLinear("U4", random_blocks("U4", 8, 1), None)
    with pytest.raises(TypeError, match=r"packed weights multiply float32, not torch\.uint8"):
        layer(torch.zeros(1, 32, dtype=layer.weight.dtype))
