"""Layers whose weights stay as the checkpoint holds them, in 16 or 32 bits, while all arithmetic is float32."""

import threading
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import embedding
from transformers.pytorch_utils import Conv1D

from inference_server.cpu.kernels import product, tiles

KINDS = {torch.bfloat16: tiles.BFLOAT16, torch.float16: tiles.FLOAT16, torch.float32: tiles.FLOAT32}
FEW_ROWS = 24  # up to so many, the compiled product is surely faster than the BLAS over widened weights
_BLOCK = 4 * 2**20  # numbers widened at a time


class _Scratch(threading.local):
    """Where blocks of weights are widened: each thread's own, for one may load a model while another computes."""

    def __init__(self) -> None:
        self.block = torch.empty(_BLOCK)


_scratch = _Scratch()


class WeightOnlyLinear(nn.Module):
    """nn.Linear for float32 rows, over a weight (outputs, width) of any of the kinds, and a float32 bias."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.detach().contiguous(), requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias.detach().float(), requires_grad=False)
        self.out_features, self.in_features = weight.shape
        self.most_rows = FEW_ROWS  # of the compiled product; measured on this machine where a model is loaded
        self._body = product.product_body(KINDS[weight.dtype])

    def forward(self, x: Tensor) -> Tensor:
        """(…, width) → (…, outputs)."""
        rows = x.reshape(-1, self.in_features).contiguous()
        y = rows.new_empty(len(rows), self.out_features)
        if len(rows) > self.most_rows:
            self.widened(rows, y)
        elif len(rows):
            self.compiled(rows, y)
        if self.bias is not None:
            y += self.bias
        return y.view(*x.shape[:-1], self.out_features)

    def compiled(self, rows: Tensor, y: Tensor) -> None:
        """rows (n, width) → y (n, outputs), without bias, by the compiled product; both lie in one piece."""
        source = (rows.data_ptr(), len(rows), self.weight.data_ptr(), self.in_features)
        table = np.array((*source, self.out_features, y.data_ptr(), self.out_features), dtype=np.int64)
        self._body.run(table, torch.get_num_threads())

    def widened(self, rows: Tensor, y: Tensor) -> None:
        """As `compiled`, by the BLAS over widened weights."""
        if self.weight.dtype == torch.float32:
            torch.mm(rows, self.weight.T, out=y)
            return
        step = max(1, _BLOCK // self.in_features)
        for first in range(0, self.out_features, step):
            held = self.weight[first : first + step]
            fits = held.numel() <= _BLOCK
            wide = _scratch.block[: held.numel()].view(held.shape) if fits else torch.empty(held.shape)
            wide.copy_(held)
            if step >= self.out_features:
                torch.mm(rows, wide.T, out=y)
            else:
                y[:, first : first + step] = rows @ wide.T


class WeightOnlyEmbedding(nn.Module):
    """nn.Embedding whose rows are widened to float32 when looked up."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.detach(), requires_grad=False)
        self.num_embeddings, self.embedding_dim = weight.shape

    def forward(self, ids: Tensor) -> Tensor:
        """(…) int64 → (…, width) float32."""
        return embedding(ids, self.weight).float()


def replace_linears(model: nn.Module) -> None:
    """Replaces a CPU model's linear layers and embeddings in place, and widens everything else to float32.

    Layers of classes derived from those may do more than they say, and are widened. Raises NoTeamError, before any
    change, where the kernels can't run.
    """
    kinds = {weight.dtype for weight in model.parameters() if weight.dtype in KINDS and weight.ndim > 1}
    if not all(trustworthy(kind) for kind in kinds):
        raise ArithmeticError("the compiled kernels give other numbers than torch on this machine")
    replaced: set[int] = set()
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            layer = _replacement(child)
            if layer is not None:
                setattr(parent, name, layer)
                replaced.update(id(parameter) for parameter in layer.parameters())
    for parameter in model.parameters():
        if id(parameter) not in replaced and parameter.is_floating_point():
            parameter.data = parameter.data.float()


@torch.inference_mode()
def computes_in_float32(model: Any) -> bool:
    """Whether a held model runs, and no layer rounds what it hands on to 16 bits, as some do to suit their weights."""
    narrow: list[nn.Module] = []

    def look(layer: nn.Module, given: object, output: object) -> None:
        found = output if isinstance(output, tuple) else (output,)
        if any(isinstance(each, Tensor) and each.is_floating_point() and each.itemsize < 4 for each in found):
            narrow.append(layer)

    constants = [buffer for buffer in model.buffers() if buffer.is_floating_point() and buffer.itemsize < 4]
    hooks = [layer.register_forward_hook(look) for layer in model.modules()]
    try:
        model(input_ids=torch.tensor([[0]]), use_cache=False)
    except Exception:  # whatever comes of weights and activations that differ in kind
        return False
    finally:
        for hook in hooks:
            hook.remove()
    return not narrow and not constants


def _replacement(layer: nn.Module) -> nn.Module | None:
    weight = getattr(layer, "weight", None)
    if not isinstance(weight, Tensor) or weight.dtype not in KINDS:
        return None
    if type(layer) is nn.Linear:
        return WeightOnlyLinear(weight.data, layer.bias)
    if type(layer) is Conv1D:
        return WeightOnlyLinear(weight.data.T, layer.bias)
    if type(layer) is nn.Embedding:
        return WeightOnlyEmbedding(weight.data)
    return None


@cache
def trustworthy(kind: torch.dtype) -> bool:
    """Whether the kernels agree with torch for weights of a kind, tried on odd shapes and several row counts."""
    draw = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        weight = torch.randn(37, 203, generator=draw).to(kind)
        layer = WeightOnlyLinear(weight, None)
        for rows in (*range(1, product.MOST + 1), 11, FEW_ROWS, FEW_ROWS + 1):
            x = torch.randn(rows, 203, generator=draw)
            if not torch.allclose(layer(x), x @ weight.float().T, rtol=1e-4, atol=1e-4):
                return False
    return True
