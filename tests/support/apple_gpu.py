"""Tensors that refuse what those on Apple's GPUs do: to be float64, before they are moved to the CPU."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn


class OnGPU(Tensor):
    """What is computed from such a tensor is one again, until `cpu`."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is Tensor.cpu:
            with torch._C.DisableTorchFunctionSubclass():
                return args[0].as_subclass(Tensor)
        found = super().__torch_function__(func, types, args, kwargs)  # type: ignore[no-untyped-call]
        if any(isinstance(each, OnGPU) and each.dtype == torch.float64 for each in _tensors(found)):
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64")
        return found


def move(network: nn.Module) -> None:
    """A network's parameters become such tensors."""
    for module in network.modules():
        for name, weight in module._parameters.items():
            if weight is not None:
                module._parameters[name] = nn.Parameter(weight.data.as_subclass(OnGPU), requires_grad=False)


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _tensors(each)
