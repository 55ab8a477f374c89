"""Linear layers that keep a packed checkpoint's weights in blocks, where the CPU's kernels read them."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import structlog
import torch
from torch import Tensor, nn

from inference_server.cpu import dtype
from inference_server.runtime import repacking, unpacking
from inference_server.runtime.meta_model import Blueprint
from inference_server.runtime.packed_checkpoint import Packed
from inference_server.runtime.repacking import BLOCK, Blocks
from inference_server.runtime.unpacking import BnbState

logger = structlog.get_logger(__name__)


class PackedLayers:
    """The weights that stay packed, by the names of linear layers' weights."""

    def __init__(self, weights: Mapping[str, Packed]) -> None:
        self.weights = dict(weights)
        self.stand_ins: dict[str, Tensor] = {}
        """What the network is built with in their places: each a single number in memory."""

    @classmethod
    def choose(cls, packed: Mapping[str, Packed], plan: Blueprint) -> "PackedLayers":
        """Those of a checkpoint that are all of a linear layer's weight, and in blocks that kernels read here."""
        if plan.elements < dtype.LEAST_ELEMENTS:
            return NONE
        fit = {
            name: each
            for name, each in packed.items()
            if each.blocks and name in plan.linear and tuple(plan.parameters[name].shape) == each.shape
        }
        return cls({name: each for name, each in fit.items() if trustworthy(each.blocks)})

    @property
    def bytes(self) -> int:
        """Memory for their blocks."""
        return sum(
            repacking.BYTES[each.blocks] * (outputs * inputs // BLOCK)
            for each in self.weights.values()
            for outputs, inputs in [each.shape]
        )

    @property
    def elements(self) -> int:
        """How many numbers they stand for."""
        return sum(outputs * inputs for outputs, inputs in (each.shape for each in self.weights.values()))

    def stand_in(self, kind: torch.dtype) -> dict[str, Tensor]:
        """Tensors to build the network with, of that dtype."""
        self.stand_ins = {name: torch.zeros(1, 1, dtype=kind).expand(each.shape) for name, each in self.weights.items()}
        return self.stand_ins

    def put_into(self, network: Any) -> bool:
        """Has a network's layers compute with the blocks; whether it had the stand-ins where they belong."""
        from inference_server.cpu.packed_linear import PackedLinear, ReorderedLinear  # needs numba

        layers = {name: network.get_submodule(name.rpartition(".")[0]) for name in self.weights}
        for name, layer in layers.items():
            if type(layer) is not nn.Linear or layer.weight.data_ptr() != self.stand_ins[name].data_ptr():
                logger.warning("packed weights not where they belong, widening them", name=name)
                return False
        for name, layer in layers.items():
            found = self.weights[name].repack()
            packed = (
                PackedLinear(found.kind, found.rows, layer.bias)
                if found.order is None
                else ReorderedLinear(found.kind, found.rows, layer.bias, found.order)
            )
            network.set_submodule(name.rpartition(".")[0], packed)
        return True


NONE = PackedLayers({})


@cache
def trustworthy(kind: str) -> bool:
    """Whether the kernels run here and agree with `unpacking` on random weights. The first call may compile."""
    try:
        from inference_server.cpu import packed_linear

        blocks, wide = _sample(kind)
        agree = packed_linear.agrees(blocks.kind, blocks.rows, wide)
    except Exception as fault:  # numba may be missing, or fail in its own ways
        logger.warning("kernels for packed weights not available, widening them", kind=kind, reason=str(fault))
        return False
    if not agree:
        logger.warning("kernels for packed weights differ from the unpacked numbers, widening them", kind=kind)
    return agree


def _sample(kind: str) -> tuple[Blocks, Tensor]:
    """Random weights as packed checkpoints have them, in blocks and as the numbers they stand for."""
    draw = torch.Generator().manual_seed(0)
    outputs, inputs = 40, 7 * BLOCK

    def whole(*shape: int, kind: torch.dtype = torch.uint8) -> Tensor:
        """All of their bits are drawn."""
        drawn = torch.randint(256, (*shape, kind.itemsize), dtype=torch.uint8, generator=draw)
        return drawn.view(kind).squeeze(-1)

    def scales(*shape: int) -> Tensor:
        return torch.rand(shape, generator=draw) * 1e-2

    if kind in repacking.CODES:
        state = BnbState((outputs, inputs), "F32", 2 * BLOCK, None, 0)
        parts = {
            "quant_map": torch.tensor(repacking.CODES[kind]),
            "absmax": scales(outputs * inputs // state.blocksize),
        }
        data = whole(outputs * inputs // 2, 1)
        return repacking.bnb_4bit(data, parts, state), unpacking.bnb_4bit(data, parts, state)
    if kind == "I8":
        weight, largest = whole(outputs, inputs, kind=torch.int8), scales(outputs)
        return repacking.bnb_8bit(weight, largest), unpacking.bnb_8bit(weight, largest)
    bits = 8 if kind == "U8" else 4
    words = whole(inputs * bits // unpacking.WORD, outputs, kind=torch.int32)
    zeros = whole(7, outputs * bits // unpacking.WORD, kind=torch.int32)
    given = (words, zeros, scales(7, outputs).half(), unpacking.in_order(inputs, 7), bits, 1)
    return repacking.gptq(*given), unpacking.gptq(*given)
