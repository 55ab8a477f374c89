"""bitsandbytes', GPTQ's and AWQ's packed weights as blocks that the CPU's kernels read; no number changes.

A block is 32 inputs of an output, which share a scale: see `cpu/kernels/checkpoint_blocks`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from inference_server.cpu.kernels import codebooks
from inference_server.runtime import unpacking
from inference_server.runtime.unpacking import BnbState

BLOCK = 32
BYTES = {"U4": 20, "U8": 36, "I8": 36, "NF4": 20, "FP4": 20}
"""Of a block, by its kind."""
CODES = {"NF4": codebooks.NORMAL, "FP4": codebooks.FLOAT}
_HEAD = 4  # bytes of a block before its levels
_ULP = 2.0**-24  # a code that was computed elsewhere may differ in its last bit


@dataclass(frozen=True, slots=True)
class Blocks:
    """A matrix in blocks."""

    kind: str
    rows: Tensor
    """(outputs, bytes)"""
    order: Tensor | None = None
    """The input that each of its columns multiplies; None: they are in order."""


def bnb_4bit_kind(code: Tensor, state: BnbState) -> str:
    """The kind of blocks for a weight of bitsandbytes; empty: none."""
    if len(state.shape) != 2 or state.shape[1] % BLOCK or state.blocksize % BLOCK:
        return ""
    for kind, known in CODES.items():
        if torch.allclose(code, torch.tensor(known), rtol=0, atol=_ULP):
            return kind
    return ""


def bnb_4bit(packed: Tensor, parts: Mapping[str, Tensor], state: BnbState) -> Blocks:
    """As unpacking.bnb_4bit."""
    outputs, inputs = state.shape
    data = packed.reshape(-1).view(torch.uint8)
    places = torch.stack((data >> 4, data & 0xF), dim=1).view(outputs, inputs)
    scales = unpacking.bnb_scales(parts, state).repeat_interleave(state.blocksize // BLOCK)
    kind = bnb_4bit_kind(parts["quant_map"], state)
    return Blocks(kind, _blocks(kind, places, scales[: outputs * inputs // BLOCK].view(outputs, -1, 1)))


def bnb_8bit_kind(inputs: int) -> str:
    """The kind of blocks for signed bytes; empty: none."""
    return "" if inputs % BLOCK else "I8"


def bnb_8bit(weight: Tensor, largest: Tensor) -> Blocks:
    """As unpacking.bnb_8bit."""
    scales = (largest.float() / 127).view(-1, 1, 1).expand(-1, weight.shape[1] // BLOCK, 1)
    return Blocks("I8", _blocks("I8", weight.view(torch.uint8), scales))


def words_kind(scales: Tensor, groups: Tensor, bits: int) -> str:
    """The kind of blocks for GPTQ's or AWQ's words; empty: none. `groups`: that of each input."""
    if len(groups) % BLOCK or not torch.equal(scales.half().to(scales.dtype), scales):
        return ""
    shared = groups.sort().values.view(-1, BLOCK)
    return "" if bool((shared != shared[:, :1]).any()) else "U8" if bits == 8 else "U4"


def gptq(qweight: Tensor, qzeros: Tensor, scales: Tensor, groups: Tensor, bits: int, above: int) -> Blocks:
    """As unpacking.gptq; inputs of a group that lie apart come together."""
    numbers, zeros = unpacking.gptq_numbers(qweight, qzeros, bits, above)
    shared, order = groups.sort(stable=True)
    kind = "U8" if bits == 8 else "U4"
    if torch.equal(shared, groups):
        return Blocks(kind, _with_zeros(kind, numbers, zeros, scales, groups))
    return Blocks(kind, _with_zeros(kind, numbers[:, order], zeros, scales, shared), order)


def awq(qweight: Tensor, qzeros: Tensor, scales: Tensor) -> Blocks:
    """As unpacking.awq."""
    numbers, zeros = unpacking.awq_numbers(qweight, qzeros)
    groups = unpacking.in_order(len(qweight), len(scales))
    return Blocks("U4", _with_zeros("U4", numbers, zeros, scales, groups))


def _with_zeros(kind: str, numbers: Tensor, zeros: Tensor, scales: Tensor, groups: Tensor) -> Tensor:
    """Zeros and scales (groups, outputs), `groups`: that of each input, those of a block the same."""
    heads = torch.stack((scales.half(), -zeros.half()), dim=-1)
    return _blocks(kind, numbers, heads[groups[::BLOCK]].transpose(0, 1))


def _blocks(kind: str, numbers: Tensor, heads: Tensor) -> Tensor:
    """(outputs, bytes) from bytes (outputs, inputs), and what is in front of each block (outputs, blocks, …)."""
    outputs, inputs = numbers.shape
    found = torch.empty(outputs, inputs // BLOCK, BYTES[kind], dtype=torch.uint8)
    found[..., :_HEAD] = heads.contiguous().view(torch.uint8)
    if BYTES[kind] == _HEAD + BLOCK:
        found[..., _HEAD:] = numbers.view(outputs, -1, BLOCK)
    else:
        apart = 4 if kind in CODES else BLOCK // 2  # how far the halves of a byte lie
        low, high = numbers.view(outputs, -1, BLOCK // apart // 2, 2, apart).unbind(-2)
        found[..., _HEAD:] = (high << 4).bitwise_or_(low).view(outputs, -1, BLOCK // 2)
    return found.view(outputs, -1)
