"""LoRA: a network that computes with another's weights and an adapter's low-rank matrices beside them."""

import copy
import itertools
from typing import Any

import structlog
import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.nn.functional import embedding, linear
from transformers.pytorch_utils import Conv1D

from inference_server.cpu.scaled_embedding import scale_of
from inference_server.errors import LoadFailed
from inference_server.models.adapter import MERGE, WEIGHTS, Adapter, Pair
from inference_server.models.safetensors_header import short

LINEARS = ("WeightOnlyLinear", "PackedLinear", "ReorderedLinear")
EMBEDDINGS = ("WeightOnlyEmbedding", "PackedEmbedding")

logger = structlog.get_logger()


class LoraLayer(nn.Module):
    """A layer of the base with what an adapter adds to it, computed in float32."""

    def __init__(self, layer: Any, a: Tensor, b: Tensor, scaling: float) -> None:
        super().__init__()
        self.base_layer = layer
        self.lora_a = nn.Parameter(a, requires_grad=False)
        self.lora_b = nn.Parameter(b, requires_grad=False)
        self.scaling = scaling

    @property
    def weight(self) -> Tensor:
        """The base's own, for code that asks for its dtype or device."""
        found: Tensor = self.base_layer.weight
        return found

    @property
    def bias(self) -> Tensor | None:
        """The base's own."""
        found: Tensor | None = self.base_layer.bias
        return found


class LoraLinear(LoraLayer):
    """y = Wx + scaling · B(Ax). B lies column by column in memory, as the fused decoder reads it."""

    def __init__(self, layer: Any, a: Tensor, b: Tensor, scaling: float) -> None:
        super().__init__(layer, a, b.T.contiguous().T, scaling)

    def forward(self, x: Tensor) -> Tensor:
        """(…, width) → (…, outputs)."""
        y: Tensor = self.base_layer(x)
        added = linear(linear(x.float(), self.lora_a), self.lora_b) * self.scaling
        return y + added.to(y.dtype)

    def widened_row(self, output: int) -> Tensor:
        """The (width,) weights of one output in float32."""
        packed = getattr(self.base_layer, "widened_row", None)
        row: Tensor = self.weight[output] if packed is None else packed(output)
        return row.float() + self.scaling * (self.lora_b[output] @ self.lora_a)


class LoraEmbedding(LoraLayer):
    """The same of a token's row."""

    def forward(self, ids: Tensor) -> Tensor:
        """(…) int64 → (…, width)."""
        y: Tensor = self.base_layer(ids)
        added = linear(embedding(ids, self.lora_a.T), self.lora_b) * self.scaling
        return y + added.to(y.dtype)


def share(network: Any) -> Any:
    """Another network with the same tensors in memory. The first must not be computing meanwhile."""
    shared: dict[int, Any] = {id(each): each for each in itertools.chain(network.parameters(), network.buffers())}
    for part in network.modules():
        for code in (getattr(part, "_body", None), getattr(part, "product", None)):  # compiled
            if code is not None:
                shared[id(code)] = code
    return copy.deepcopy(network, shared)


def adapt(network: Any, adapter: Adapter, base: str) -> Any:
    """A network with an adapter on the weights of another. Raises LoadFailed for an adapter that does not fit it."""
    if adapter.base and adapter.base != base:
        logger.warning("adapter made for another base", base=base, made_for=adapter.base)
    adapted = share(network)
    with torch.inference_mode(), safe_open(adapter.folder / WEIGHTS, framework="pt") as file:
        for name, pair in adapter.pairs.items():
            path, layer = _layer(adapted, name, adapter)
            a, b = (file.get_tensor(each).float().contiguous().to(layer.weight.device) for each in (pair.a, pair.b))
            owner, _, last = path.rpartition(".")
            setattr(adapted.get_submodule(owner), last, _wrap(layer, name, pair, a, b, adapter))
    return adapted


def note(adapter: Adapter, base: str) -> str:
    """What a user should know of an adapter on this base; empty: nothing."""
    return f"adapter made for {short(adapter.base)}" if adapter.base and adapter.base != base else ""


def _layer(network: Any, name: str, adapter: Adapter) -> tuple[str, Any]:
    """A layer by the name it has in the adapter: its own, or the one it has in the image-text model around it."""
    body = f"{network.base_model_prefix}."
    names = [name]
    for whole in ("model.language_model.", "model.text_model.", "language_model.model.", "text_model.model."):
        if name.startswith(whole):
            names.append(body + name.removeprefix(whole))
    for each in names:
        try:
            return each, network.get_submodule(each)
        except AttributeError:
            continue
    made_for = f"; it was made for {short(adapter.base)}" if adapter.base else ""
    raise LoadFailed(f"the adapter changes {short(name)}, which its base doesn't have{made_for}")


def _wrap(layer: Any, name: str, pair: Pair, a: Tensor, b: Tensor, adapter: Adapter) -> LoraLayer:
    scale = _scale_of(layer)
    embeds = scale is not None
    if embeds:
        outputs, inputs = layer.embedding_dim, layer.num_embeddings
    elif isinstance(layer, Conv1D):
        inputs, outputs = layer.weight.shape
    elif isinstance(layer, nn.Linear) or type(layer).__name__ in LINEARS:
        outputs, inputs = layer.out_features, layer.in_features
    else:
        raise LoadFailed(
            f"the adapter changes {short(name)}, a {type(layer).__name__}, which is not supported; {MERGE}"
        )
    if embeds != pair.embedding or (inputs, outputs) != (pair.inputs, pair.outputs):
        made_for = f"; it was made for {short(adapter.base)}" if adapter.base else ""
        raise LoadFailed(
            f"the adapter does not fit its base: {short(name)} takes {inputs:,} numbers to {outputs:,}, "
            f"the adapter's matrices {pair.inputs:,} to {pair.outputs:,}{made_for}"
        )
    return LoraLinear(layer, a, b, pair.scaling) if scale is None else LoraEmbedding(layer, a, b, pair.scaling * scale)


def _scale_of(layer: Any) -> float | None:
    """What an embedding multiplies its rows by; None for another layer."""
    if type(layer).__name__ in EMBEDDINGS:
        found: float = layer.scale
        return found
    return scale_of(layer)
