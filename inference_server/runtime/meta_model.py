"""The network that a configuration describes, without its weights: how much memory it needs, and whether weights fit.

Built on torch's meta device, where tensors have shapes and no memory.
"""

import contextlib
import copy
import threading
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any

import structlog
import torch
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)
from torch.overrides import TorchFunctionMode
from transformers import PreTrainedConfig, initialization

from inference_server.cpu.dtype import kept
from inference_server.errors import LoadFailed
from inference_server.models.checkpoint import Weights
from inference_server.models.safetensors_header import short
from inference_server.runtime import architecture, meta_kernels, network_class

PARTS_PER_TENSOR = 50  # modules and parameters of a network; llama has three for each tensor of its files
LEAST_PARTS, MOST_PARTS = 10_000, 500_000
MOST_COUNTED = 10_000_000
DRAWING, INITIALIZING = {Tensor.uniform_, Tensor.normal_}, "torch.nn.init"

logger = structlog.get_logger(__name__)


class Blueprint:
    """A network's tensors by name, shared ones once."""

    def __init__(self, network: Any, *, counts: bool = False) -> None:
        """`counts`: whether it was built within `counting`."""
        self.counts = counts
        self.kind = type(network)
        tied = dict(getattr(network, "all_tied_weights_keys", None) or {})
        self.parameters: dict[str, Tensor] = {
            name: tensor for name, tensor in network.named_parameters() if name not in tied
        }
        linear = {f"{name}.weight" for name, module in network.named_modules() if type(module) is nn.Linear}
        self.linear = (linear & self.parameters.keys()) - set(tied.values())
        """Names of linear layers' weights that nothing shares."""
        self.whole = {name for name, tensor in network.state_dict().items() if not tensor.is_floating_point()}
        """Names of integer tensors."""
        self.read = {name for name in network.state_dict() if name not in tied}
        """Names of tensors that files may have."""
        self._buffers = list(network.buffers())
        self._constants = [each for part in network.modules() if not kept(part) for each in part.buffers(recurse=False)]
        """Buffers but for those of layers that kernels replace."""
        own = {id(each) for each in network.state_dict(keep_vars=True).values()}  # from the files, so exact as they are
        constants = [each for each in self._constants if each.is_floating_point() and id(each) not in own]
        self.rounds = any(each.itemsize < 4 for each in constants)
        """Whether its code computes with constants of 16 bits if its weights have 16, kernels or not."""
        first = {id(tensor): name for name, tensor in network.named_parameters()}
        self._kept = dict[str, set[bool]]()
        """Of each tensor, whether layers keep its dtype; of a shared one, some may and others not."""
        for prefix, module in network.named_modules():
            for own, tensor in module.named_parameters(prefix, recurse=False):
                name = tied.get(own) or tied.get(first[id(tensor)], first[id(tensor)])
                self._kept.setdefault(name, set()).add(own.rpartition(".")[2] in kept(module))

    @property
    def elements(self) -> int:
        """Of all parameters."""
        return sum(tensor.numel() for tensor in self.parameters.values())

    def bytes_at(self, element_bytes: int) -> int:
        """Memory for the network if a float takes that many bytes."""
        return self._bytes(self._buffers, {True: element_bytes, False: element_bytes})

    def bytes_widened(self, kept_bytes: int, wide: Container[str] = ()) -> int:
        """The same if it takes that many only where layers keep their dtype, and four elsewhere.

        `wide`: names of those that take four there, too.
        """
        return self._bytes(self._constants, {True: kept_bytes, False: 4}, wide)

    def _bytes(self, buffers: Sequence[Tensor], sizes: Mapping[bool, int], wide: Container[str] = ()) -> int:
        taken = 0
        for buffer in buffers:
            taken += buffer.numel() * max(buffer.itemsize, sizes[False] if buffer.is_floating_point() else 0)
        for name, tensor in self.parameters.items():
            ways = {way and name not in wide for way in self._kept[name]}
            each = {sizes[way] for way in ways} if tensor.is_floating_point() else {tensor.itemsize}
            taken += tensor.numel() * sum(each)
        return taken


def draw(config: PreTrainedConfig, weights: Weights) -> Blueprint:
    """The network of a configuration. Raises LoadFailed if it can't be built, or has far more parts than weights."""
    most = min(max(PARTS_PER_TENSOR * len(weights.tensors), LEAST_PARTS), MOST_PARTS)
    try:
        return meta_kernels.built(lambda: _counted(config, most))
    except LoadFailed:
        raise
    except Exception as error:  # whatever comes of numbers on two devices
        logger.debug("network not built with numbers on the CPU", reason=repr(error)[:300])
    try:
        return Blueprint(_build(config, most))
    except LoadFailed:
        raise
    except Exception as error:  # whatever transformers raises for bad values
        raise LoadFailed(f"transformers can't build it from its config.json: {architecture.one_line(error)}") from error


def _counted(config: PreTrainedConfig, most: int) -> Blueprint:
    with counting():
        return Blueprint(_build(config, most), counts=True)


def _build(config: PreTrainedConfig, most: int) -> Any:
    """A network without memory."""
    with (
        at_most(most),
        initialization.no_init_weights(),
        initialization.meta_device_safe_creation_ops(),
        torch.device("meta"),
    ):
        return network_class.create(copy.deepcopy(config))


class counting(TorchFunctionMode):  # noqa: N801 - a context
    """Within, `torch.arange` counts on the CPU where it would on the meta device, and no weights are drawn there.

    Rotations are computed from such numbers. torch imports sympy for the first computation on the meta device.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Computes what torch is asked for."""
        given = dict(kwargs or {})
        target = args[0] if args else given.get("tensor")
        if (
            (func in DRAWING or getattr(func, "__module__", "") == INITIALIZING)
            and isinstance(target, Tensor)
            and target.is_meta
        ):
            return target
        if (
            func is torch.arange
            and "meta" in str(given.get("device"))
            and all(abs(each) < MOST_COUNTED for each in args)
        ):
            given["device"] = "cpu"
        return func(*args, **given)


@contextlib.contextmanager
def at_most(parts: int) -> Iterator[None]:
    """Limits the modules and parameters that this thread may build meanwhile; one more raises LoadFailed."""
    here, built = threading.get_ident(), 0

    def count(*_: Any) -> None:
        nonlocal built
        built += threading.get_ident() == here
        if built > parts:
            raise LoadFailed(
                f"config.json describes a network of more than {parts:,} parts; its weights have far fewer"
            )

    handles = [register_module_module_registration_hook(count), register_module_parameter_registration_hook(count)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def check_sizes(plan: Blueprint, weights: Weights) -> None:
    """Raises LoadFailed if unquantised weights don't have the network's sizes, or are far too few."""
    for name, tensor in plan.parameters.items():
        found = weights.tensors.get(name)
        if found is not None and found.elements != tensor.numel():
            raise LoadFailed(
                f"config.json does not fit the weights: {short(name)} would be {_size(tensor.shape)}, "
                f"the file has {_size(found.shape)}"
            )
    if plan.elements > 2 * weights.elements:
        raise LoadFailed(
            f"config.json does not fit the weights: it describes {plan.elements:,} parameters, "
            f"the files have {weights.elements:,}"
        )


def _size(shape: Any) -> str:
    return " x ".join(map(str, shape)) or "a single number"
