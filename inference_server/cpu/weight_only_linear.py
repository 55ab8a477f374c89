"""Layers with 16-bit (or 32-bit) weights and float32 arithmetic."""

import threading
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import embedding
from transformers.pytorch_utils import Conv1D

from inference_server.cpu.dtype import kept
from inference_server.cpu.experts import Experts
from inference_server.cpu.kernels import layouts, team
from inference_server.cpu.kernels.objects import Kernel
from inference_server.cpu.kernels.tables import MOST
from inference_server.cpu.scaled_embedding import scale_of
from inference_server.host import stepwise

KINDS = {torch.bfloat16: layouts.BFLOAT16, torch.float16: layouts.FLOAT16, torch.float32: layouts.FLOAT32}
FEW_ROWS = 24  # up to which the compiled product is always faster than BLAS on widened weights
_BLOCK = 4 * 2**20  # weights widened at a time


class _Scratch(threading.local):
    """Buffer for widened weights, per thread since one may load a model while another computes."""

    def __init__(self) -> None:
        self.block = torch.empty(_BLOCK)


_scratch = _Scratch()


class WeightOnlyLinear(nn.Module):
    """nn.Linear on float32 inputs, with a weight of any of KINDS and a float32 bias."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.detach().contiguous(), requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias.detach().float(), requires_grad=False)
        self.out_features, self.in_features = weight.shape
        self.kind = str(weight.dtype).removeprefix("torch.")
        self.most_rows = FEW_ROWS  # for the compiled product; see autotune
        self.product = team.function(Kernel.PRODUCT_OF_KIND, KINDS[weight.dtype])
        self._body = team.body(Kernel.PRODUCT)

    def forward(self, x: Tensor) -> Tensor:
        """(…, width) → (…, outputs)."""
        if torch.is_grad_enabled() and x.requires_grad:
            found: Tensor = _Product.apply(x, self)  # type: ignore[no-untyped-call]
            return found
        return self.multiply(x)

    def multiply(self, x: Tensor) -> Tensor:
        """As forward, without a gradient."""
        rows = x.reshape(-1, self.in_features).contiguous()
        y = rows.new_empty(len(rows), self.out_features)
        if len(rows) > self.most_rows:
            self.widened(rows, y)
        else:
            for part in stepwise.parts(len(rows)):
                self.compiled(rows[part], y[part])
        if self.bias is not None:
            y += self.bias
        return y.view(*x.shape[:-1], self.out_features)

    def compiled(self, rows: Tensor, y: Tensor) -> None:
        """rows (n, width) → y (n, outputs) with the compiled product, without bias; both contiguous."""
        source = (rows.data_ptr(), len(rows), self.weight.data_ptr(), self.in_features)
        target = (self.out_features, y.data_ptr(), self.out_features)
        table = np.array((*source, *target, self.product), dtype=np.int64)
        self._body.run(table, torch.get_num_threads())

    def widened(self, rows: Tensor, y: Tensor) -> None:
        """The same with BLAS on widened weights."""
        for first, wide in self._blocks():
            for part in stepwise.parts(len(rows)):
                if len(wide) == self.out_features:
                    torch.mm(rows[part], wide.T, out=y[part])
                else:
                    y[part, first : first + len(wide)] = rows[part] @ wide.T

    def backward(self, gradient: Tensor) -> Tensor:
        """The gradient of its inputs (…, width), given that of its outputs (…, outputs)."""
        rows = gradient.reshape(-1, self.out_features)
        found = rows.new_zeros(len(rows), self.in_features)
        for first, wide in self._blocks():
            for part in stepwise.parts(len(rows)):
                found[part].addmm_(rows[part, first : first + len(wide)], wide)
        return found.view(*gradient.shape[:-1], self.in_features)

    def _blocks(self) -> Iterator[tuple[int, Tensor]]:
        """Its weight in float32, some rows at a time: the first row's number, and the rows until the next are asked."""
        if self.weight.dtype == torch.float32:
            yield 0, self.weight
            return
        step = max(1, _BLOCK // self.in_features)
        for first in range(0, self.out_features, step):
            narrow = self.weight[first : first + step]
            fits = narrow.numel() <= _BLOCK
            wide = _scratch.block[: narrow.numel()].view(narrow.shape) if fits else torch.empty(narrow.shape)
            yield first, wide.copy_(narrow)


class _Product(torch.autograd.Function):
    """A weight-only product with a gradient for its inputs; the weight has none."""

    @staticmethod
    def forward(context: Any, x: Tensor, layer: WeightOnlyLinear) -> Tensor:
        context.layer = layer
        return layer.multiply(x)

    @staticmethod
    def backward(context: Any, *gradients: Any) -> Any:
        return context.layer.backward(gradients[0]), None


class WeightOnlyEmbedding(nn.Module):
    """nn.Embedding that widens rows to float32 on lookup; times `scale`, as some models do."""

    def __init__(self, weight: Tensor, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = scale
        self.weight = nn.Parameter(weight.detach(), requires_grad=False)
        self.num_embeddings, self.embedding_dim = weight.shape

    def forward(self, ids: Tensor) -> Tensor:
        """(…) int64 → (…, width) float32."""
        found = embedding(ids, self.weight).float()
        return found if self.scale == 1 else found * self.scale


def replace_linears(model: nn.Module) -> None:
    """Replaces a CPU model's linear layers, embeddings and experts in place; everything else becomes float32.

    Subclasses of these layers are not replaced, since they may do more. Raises NoTeamError, before any change, if the
    kernels can't run.
    """
    kinds = {weight.dtype for weight in model.parameters() if weight.dtype in KINDS and weight.ndim > 1}
    if not all(trustworthy(kind) for kind in kinds):
        raise ArithmeticError("kernel results differ from torch's on this machine")
    replaced: set[int] = set()
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            layer = _replacement(child)
            if layer is not None:
                setattr(parent, name, layer)
                replaced.update(id(parameter) for parameter in layer.parameters())
    for tensor in model.state_dict(keep_vars=True).values():
        if id(tensor) not in replaced and tensor.is_floating_point():
            tensor.data = tensor.data.float()


@torch.inference_mode()
def computes_in_float32(model: Any) -> bool:
    """Whether a converted model runs without any layer rounding its output to 16 bits, as some do."""
    narrow: list[nn.Module] = []

    def check(layer: nn.Module, inputs: object, output: object) -> None:
        found = output if isinstance(output, tuple) else (output,)
        if any(isinstance(each, Tensor) and each.is_floating_point() and each.itemsize < 4 for each in found):
            narrow.append(layer)

    constants = [buffer for buffer in model.buffers() if buffer.is_floating_point() and buffer.itemsize < 4]
    hooks = [layer.register_forward_hook(check) for layer in model.modules()]
    try:
        model(input_ids=torch.tensor([[0]]), use_cache=False)
    except Exception:  # weights and activations of different dtypes raise anything
        return False
    finally:
        for hook in hooks:
            hook.remove()
    return not narrow and not constants


def _replacement(layer: nn.Module) -> nn.Module | None:
    names: tuple[str, ...] = kept(layer)
    if not names or any(layer.get_parameter(name).dtype not in KINDS for name in names):
        return None
    found: Any = layer
    if type(layer) is nn.Linear:
        return WeightOnlyLinear(found.weight.data, found.bias)
    if type(layer) is Conv1D:
        return WeightOnlyLinear(found.weight.data.T, found.bias)
    if (scale := scale_of(layer)) is not None:
        return WeightOnlyEmbedding(found.weight.data, scale)
    return Experts(layer, WeightOnlyLinear)


@cache
def trustworthy(kind: torch.dtype) -> bool:
    """Whether the kernels agree with torch for a dtype, tried on odd shapes and several row counts."""
    draw = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        weight = torch.randn(37, 203, generator=draw).to(kind)
        layer = WeightOnlyLinear(weight, None)
        for rows in (*range(1, MOST + 1), 11, FEW_ROWS, FEW_ROWS + 1):
            x = torch.randn(rows, 203, generator=draw)
            if not torch.allclose(layer(x), x @ weight.float().T, rtol=1e-4, atol=1e-4):
                return False
    return True
