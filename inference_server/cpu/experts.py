"""A mixture's experts as linear layers of their own: only those that some token is routed to are read."""

import copy
import inspect
from collections.abc import Callable
from typing import Any

import structlog
import torch
from torch import Tensor, nn
from torch.nn.functional import linear

MakeLayer = Callable[[Tensor, Tensor | None], nn.Module]
"""A linear layer from its weight (outputs, width) and its bias."""
TRAITS = ("has_gate", "has_bias", "is_transposed", "has_post_expert_norm")  # what transformers notes of its experts
EXPERTS, WIDTH, INNER, TOKENS = 5, 24, 16, 7  # of the trial

logger = structlog.get_logger(__name__)
_agreed = dict[tuple[Any, ...], bool]()


class Experts(nn.Module):
    """The experts of a mixture, computed one after the other."""

    def __init__(self, found: Any, layer: MakeLayer) -> None:
        """`found` is transformers' module, which gives up its parameters to layers made by `layer`."""
        super().__init__()
        self.rest = found
        self.activation = "_apply_gate" if found.has_gate else "act_fn"
        self.up, self.down = (self._layers(name, layer) for name in kept(found))

    def forward(self, x: Tensor, experts: Tensor, weights: Tensor) -> Tensor:
        """x (tokens, width), the experts of each token and their weights, both (tokens, k) → (tokens, width)."""
        chosen, order = experts.reshape(-1).sort(stable=True)
        numbers, lengths = (each.tolist() for each in chosen.unique_consecutive(return_counts=True))
        inner = _each(self.up, numbers, x[order // experts.shape[-1]].split(lengths))
        inner = getattr(self.rest, self.activation)(inner)
        found = _each(self.down, numbers, inner.split(lengths))[order.argsort()]
        return (found.view(*experts.shape, -1) * weights[..., None]).sum(1)

    def _layers(self, name: str, layer: MakeLayer) -> nn.ModuleList:
        found, biases = self.rest, None
        weights = getattr(found, name).data
        delattr(found, name)
        if found.has_bias:
            biases = getattr(found, f"{name}_bias").data
            delattr(found, f"{name}_bias")
        if found.is_transposed:
            weights = weights.transpose(1, 2)
        return nn.ModuleList(layer(weight, None if biases is None else biases[at]) for at, weight in enumerate(weights))


class _Layer(nn.Module):
    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.weight, self.bias = weight, bias

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight, self.bias)


def fits(module: nn.Module) -> bool:
    """Whether Experts computes what a module does: it is transformers' usual one, and a small one gives the same.

    The trial is made once for each class.
    """
    if not all(isinstance(getattr(module, trait, None), bool) for trait in TRAITS):
        return False
    found: Any = module
    wanted = {*kept(found), *(f"{name}_bias" for name in kept(found) if found.has_bias)}
    own = {name: parameter.ndim for name, parameter in module.named_parameters()}
    if found.has_post_expert_norm or own != {name: 2 if name.endswith("_bias") else 3 for name in wanted}:
        return False
    kind = (type(module), *(getattr(module, trait) for trait in TRAITS))
    if kind not in _agreed:
        _agreed[kind] = _agrees(module)
    return _agreed[kind]


def kept(found: Any) -> tuple[str, str]:
    """Names of the weights of a module's two layers."""
    return "gate_up_proj" if found.has_gate else "up_proj", "down_proj"


@torch.inference_mode()
def _agrees(module: Any) -> bool:
    draw = torch.Generator().manual_seed(0)
    x, weights = torch.randn(TOKENS, WIDTH, generator=draw), torch.rand(TOKENS, 2, generator=draw)
    experts = torch.rand(TOKENS, EXPERTS - 1, generator=draw).topk(2).indices  # none for the last one
    try:
        wanted = inspect.unwrap(type(module).forward)(_small(module), x, experts, weights)
        agree = torch.allclose(Experts(_small(module), _Layer)(x, experts, weights), wanted, rtol=1e-4, atol=1e-4)
        reason = "" if agree else "other numbers"
    except Exception as fault:  # whatever another layout raises
        agree, reason = False, str(fault)
    if not agree:
        logger.warning("experts of another kind, widening them", kind=type(module).__name__, reason=reason)
    return agree


def _small(module: Any) -> Any:
    """A module of the same class with few weights, the same ones every time."""
    draw = torch.Generator().manual_seed(1)
    small, tensors = copy.copy(module), dict[str, Tensor]()
    for name, outputs, inputs in zip(kept(module), (INNER * (1 + module.has_gate), WIDTH), (WIDTH, INNER), strict=True):
        shape = (inputs, outputs) if module.is_transposed else (outputs, inputs)
        tensors[name] = torch.randn(EXPERTS, *shape, generator=draw) / inputs**0.5
        if module.has_bias:
            tensors[f"{name}_bias"] = torch.randn(EXPERTS, outputs, generator=draw)
    parameters = {name: nn.Parameter(each, requires_grad=False) for name, each in tensors.items()}
    small.__dict__ |= {"_parameters": parameters, "num_experts": EXPERTS}
    return small


def _each(layers: nn.ModuleList, numbers: list[int], rows: tuple[Tensor, ...]) -> Tensor:
    """What the layers of those numbers make of their rows, one below the other."""
    return torch.cat([layers[at](some) for at, some in zip(numbers, rows, strict=True)])
