"""Layers with weights in blocks and float32 arithmetic: GGUF's, as they are in the file, and packed checkpoints'."""

from collections.abc import Iterator
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

from inference_server.cpu.kernels import layouts, team
from inference_server.cpu.kernels.objects import Kernel
from inference_server.cpu.kernels.tables import MOST
from inference_server.cpu.weight_only_linear import FEW_ROWS, WeightOnlyLinear

KINDS = {
    "Q4_0": layouts.Q4_0,
    "Q4_1": layouts.Q4_1,
    "Q5_0": layouts.Q5_0,
    "Q5_1": layouts.Q5_1,
    "Q8_0": layouts.Q8_0,
    "Q4_K": layouts.Q4_K,
    "Q5_K": layouts.Q5_K,
    "Q6_K": layouts.Q6_K,
}
"""GGUF's tensor types that stay packed."""
CHECKPOINT_KINDS = {
    "U4": layouts.U4,
    "U8": layouts.U8,
    "I8": layouts.I8,
    "NF4": layouts.NF4,
    "FP4": layouts.FP4,
}
"""What bitsandbytes', GPTQ's and AWQ's weights become."""
CODES = {**KINDS, **CHECKPOINT_KINDS}
_TILE = 4 * 2**20  # weights widened at a time


class PackedLinear(WeightOnlyLinear):
    """nn.Linear on float32 inputs. `weight` (outputs, bytes per row) holds the rows' blocks."""

    def __init__(self, kind: str, blocks: Tensor, bias: Tensor | None) -> None:
        nn.Module.__init__(self)
        numbers, size = layouts.LAYOUTS[CODES[kind]]
        self.kind = kind
        self.weight = nn.Parameter(blocks, requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias.detach().float(), requires_grad=False)
        self.out_features, self.in_features = len(blocks), blocks.shape[1] // size * numbers
        self.most_rows = FEW_ROWS
        self.product = team.function(Kernel.PRODUCT_OF_KIND, CODES[kind])
        self._body = team.body(Kernel.PRODUCT)

    def forward(self, x: Tensor) -> Tensor:
        """(…, width) → (…, outputs). Raises TypeError for what code makes of the dtype of `weight`."""
        if x.dtype != torch.float32:
            raise TypeError(f"packed weights multiply float32, not {x.dtype}")
        return super().forward(x)

    def _blocks(self) -> Iterator[tuple[int, Tensor]]:
        step = max(1, _TILE // self.in_features)
        for first in range(0, self.out_features, step):
            yield first, widen(self.kind, self.weight[first : first + step])

    def widened_row(self, output: int) -> Tensor:
        """The weights (width,) of one output in float32."""
        return widen(self.kind, self.weight[output : output + 1])[0]


class ReorderedLinear(PackedLinear):
    """The same with its inputs in another order: the weights' first column multiplies input `order[0]`, and so on."""

    order: Tensor

    def __init__(self, kind: str, blocks: Tensor, bias: Tensor | None, order: Tensor) -> None:
        super().__init__(kind, blocks, bias)
        self.register_buffer("order", order)

    def multiply(self, x: Tensor) -> Tensor:
        """As forward, without a gradient."""
        return super().multiply(x[..., self.order])

    def backward(self, gradient: Tensor) -> Tensor:
        """The gradient of its inputs (…, width), given that of its outputs (…, outputs)."""
        found = super().backward(gradient)
        return torch.empty_like(found).index_copy_(-1, self.order, found)

    def widened_row(self, output: int) -> Tensor:
        """The weights (width,) of one output in float32."""
        found = super().widened_row(output)
        return torch.empty_like(found).index_copy_(-1, self.order, found)


class PackedEmbedding(nn.Module):
    """nn.Embedding that widens rows on lookup; times `scale`, as some models do."""

    def __init__(self, kind: str, blocks: Tensor, scale: float = 1.0) -> None:
        super().__init__()
        numbers, size = layouts.LAYOUTS[CODES[kind]]
        self.kind = kind
        self.weight = nn.Parameter(blocks, requires_grad=False)
        self.num_embeddings, self.embedding_dim = len(blocks), blocks.shape[1] // size * numbers
        self.scale = scale

    def forward(self, ids: Tensor) -> Tensor:
        """(…) int64 → (…, width) float32."""
        rows = widen(self.kind, self.weight[ids.reshape(-1)])
        found = rows.view(*ids.shape, self.embedding_dim)
        return found if self.scale == 1 else found * self.scale


def widen(kind: str, blocks: Tensor) -> Tensor:
    """Packed rows (n, bytes) → (n, width) in float32."""
    numbers, size = layouts.LAYOUTS[CODES[kind]]
    blocks = blocks.contiguous()
    y = torch.empty(len(blocks), blocks.shape[1] // size * numbers)
    if len(blocks):
        source = (blocks.data_ptr(), y.shape[1], len(blocks), blocks.shape[1], y.data_ptr())
        table = np.array((*source, team.function(Kernel.WIDENING_OF_KIND, CODES[kind])), dtype=np.int64)
        team.body(Kernel.WIDENING).run(table, torch.get_num_threads())
    return y


@cache
def trustworthy(kind: str) -> bool:
    """Whether the kernels agree with `gguf`'s own dequantisation, tried on random blocks and several row counts."""
    from gguf import GGMLQuantizationType
    from gguf.quants import dequantize

    blocks = random_blocks(kind, 37, 6 if kind.endswith("_K") else 7)
    return agrees(kind, blocks, torch.from_numpy(dequantize(blocks.numpy(), GGMLQuantizationType[kind])))


@torch.inference_mode()
def agrees(kind: str, blocks: Tensor, wide: Tensor) -> bool:
    """Whether the kernels find the numbers (n, width) that the blocks (n, bytes) stand for, with several row counts."""
    draw = torch.Generator().manual_seed(0)
    if not torch.allclose(widen(kind, blocks), wide, rtol=1e-5, atol=1e-6):
        return False
    layer = PackedLinear(kind, blocks, None)
    for rows in (*range(1, MOST + 1), 11, FEW_ROWS, FEW_ROWS + 1):
        x = torch.randn(rows, layer.in_features, generator=draw)
        if not torch.allclose(layer(x), x @ wide.T, rtol=1e-4, atol=1e-4):
            return False
    return True


def random_blocks(kind: str, rows: int, blocks: int, seed: int = 0) -> Tensor:
    """Valid blocks (rows, bytes) with every bit in use, and scales that give weights of ordinary size."""
    draw = torch.Generator().manual_seed(seed)
    _, size = layouts.LAYOUTS[CODES[kind]]
    found = torch.randint(256, (rows * blocks, size), dtype=torch.uint8, generator=draw)
    wide = kind.endswith("_K")
    scales = torch.rand(rows * blocks, 2, generator=draw) * (2e-4 if wide else 1e-2)
    halves = scales.half().view(torch.uint8)
    if kind in CHECKPOINT_KINDS:
        _put_scales(kind, found, scales)
    elif kind == "Q6_K":
        found[:, 208:] = halves[:, :2]
    else:
        count = 4 if kind in ("Q4_1", "Q5_1", "Q4_K", "Q5_K") else 2
        found[:, :count] = halves[:, :count]
    return found.view(rows, blocks * size)


def _put_scales(kind: str, blocks: Tensor, scales: Tensor) -> None:
    """Puts scales, and zeros that cancel most of the levels, into random blocks of CHECKPOINT_KINDS."""
    if kind in ("U4", "U8"):
        scales[:, 1] = -(scales[:, 1] * (1500 if kind == "U4" else 25_500)).round()
        blocks[:, :4] = scales.half().view(torch.uint8)
    else:
        blocks[:, :4] = scales[:, 1:].contiguous().view(torch.uint8)
