"""The numbers that bitsandbytes', GPTQ's and AWQ's packed weights stand for, in float32.

Sources: Dettmers et al. 2023 (QLoRA: NormalFloat, double quantisation) and 2022 (LLM.int8()), Frantar et al. 2022
(GPTQ), Lin et al. 2023 (AWQ), and how bitsandbytes, AutoGPTQ and AutoAWQ lay out what they save.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

DTYPES = {"float16": "F16", "bfloat16": "BF16", "float32": "F32"}
MOST_BLOCK = 1 << 16  # numbers; bitsandbytes' own are at most 4,096
WORD, AWQ_BITS = 32, 4
AWQ_ORDER = (0, 4, 1, 5, 2, 6, 3, 7)  # of a word's fields, to lie as the outputs do


@dataclass(frozen=True, slots=True)
class BnbState:
    """How bitsandbytes packed a weight in 4 bits."""

    shape: tuple[int, ...]
    kind: str
    """The dtype it had, as safetensors names it."""
    blocksize: int
    """Numbers that share a scale."""
    nested_blocksize: int | None
    """Scales that share a scale; None: they are plain."""
    nested_offset: float

    @classmethod
    def read(cls, text: bytes) -> "BnbState":
        """From the JSON in the file. Raises KeyError, TypeError, ValueError, OverflowError, RecursionError."""
        found = json.loads(text)
        if not isinstance(found, dict):
            raise TypeError("not an object")
        nested = found.get("nested_blocksize")
        state = cls(
            tuple(int(axis) for axis in found["shape"]),
            DTYPES[found["dtype"]],
            int(found["blocksize"]),
            None if nested is None else int(nested),
            float(found.get("nested_offset", 0)),
        )
        blocks = (state.blocksize, 1 if state.nested_blocksize is None else state.nested_blocksize)
        if not state.shape or min(*state.shape, *blocks) < 1 or max(blocks) > MOST_BLOCK:
            raise ValueError("a size out of range")
        return state


def bnb_4bit(packed: Tensor, parts: Mapping[str, Tensor], state: BnbState) -> Tensor:
    """Two numbers a byte, the first in its high half: each a place in `quant_map`, times its block's scale."""
    code, places = parts["quant_map"], torch.arange(256)
    pairs = torch.stack((code[places >> 4], code[places & 0xF]), dim=1)  # of a byte
    numbers = functional.embedding(packed.reshape(-1).view(torch.uint8).int(), pairs).reshape(-1)
    return _scaled(numbers, bnb_scales(parts, state), state.blocksize)[: math.prod(state.shape)].reshape(state.shape)


def bnb_scales(parts: Mapping[str, Tensor], state: BnbState) -> Tensor:
    """Those in `absmax`, or places in `nested_quant_map`, times their block's in `nested_absmax`, about an offset."""
    if state.nested_blocksize is None:
        return parts["absmax"].float()
    scales = parts["nested_quant_map"][parts["absmax"].int()]
    return _scaled(scales, parts["nested_absmax"], state.nested_blocksize) + state.nested_offset


def _scaled(numbers: Tensor, scales: Tensor, blocksize: int) -> Tensor:
    """The last block may be shorter."""
    whole = functional.pad(numbers, (0, len(scales) * blocksize - len(numbers)))
    return whole.view(len(scales), blocksize).mul_(scales[:, None]).reshape(-1)[: len(numbers)]


def bnb_8bit(weight: Tensor, largest: Tensor) -> Tensor:
    """Signed bytes (outputs, inputs), with the largest magnitude of each output."""
    return weight.float() * (largest.float() / 127)[:, None]


def gptq(qweight: Tensor, qzeros: Tensor, scales: Tensor, groups: Tensor, bits: int, above: int) -> Tensor:
    """(outputs, inputs) from words that run along the inputs.

    qweight (inputs * bits / 32, outputs), qzeros (groups, outputs * bits / 32), scales (groups, outputs), `groups`
    (inputs,): the group of each input, `above`: how much more the zeros are than what is stored.
    """
    return _multiplied(*gptq_numbers(qweight, qzeros, bits, above), scales, groups)


def gptq_numbers(qweight: Tensor, qzeros: Tensor, bits: int, above: int) -> tuple[Tensor, Tensor]:
    """The numbers (outputs, inputs) and zeros (groups, outputs), in bytes."""
    numbers = _fields(qweight, bits).transpose(0, 1).reshape(qweight.shape[1], -1)
    zeros = _fields(qzeros, bits).reshape(len(qzeros), -1)
    return numbers, (zeros + above) & ((1 << bits) - 1)


def awq(qweight: Tensor, qzeros: Tensor, scales: Tensor) -> Tensor:
    """(outputs, inputs) from 4 bits in words that run along the outputs, in an order of AWQ's own.

    qweight (inputs, outputs / 8), qzeros (groups, outputs / 8), scales (groups, outputs).
    """
    numbers, zeros = awq_numbers(qweight, qzeros)
    return _multiplied(numbers, zeros, scales, in_order(len(qweight), len(scales)))


def awq_numbers(qweight: Tensor, qzeros: Tensor) -> tuple[Tensor, Tensor]:
    """The numbers (outputs, inputs) and zeros (groups, outputs), in bytes."""
    numbers, zeros = (_fields(words, AWQ_BITS)[..., AWQ_ORDER].reshape(len(words), -1) for words in (qweight, qzeros))
    return numbers.T.contiguous(), zeros


def in_order(inputs: int, groups: int) -> Tensor:
    """The group of each input, where those of a group are neighbours."""
    return torch.arange(inputs) // (inputs // groups)


def _multiplied(numbers: Tensor, zeros: Tensor, scales: Tensor, groups: Tensor) -> Tensor:
    """(outputs, inputs) in float32 from numbers of that shape, and zeros and scales (groups, outputs)."""
    zeros, scales = zeros.T.float(), scales.T.float()
    if len(groups) % scales.shape[1] == 0 and torch.equal(groups, in_order(len(groups), scales.shape[1])):
        grouped = numbers.float().view(len(numbers), scales.shape[1], -1)
        return grouped.sub_(zeros[..., None]).mul_(scales[..., None]).view(numbers.shape)
    return numbers.float().sub_(zeros[:, groups]).mul_(scales[:, groups])


def _fields(words: Tensor, bits: int) -> Tensor:
    """(…, 32 / bits): the numbers of each word, from its lowest bits up."""
    data = words.contiguous().view(torch.uint8).reshape(*words.shape, 4)
    fields = torch.stack([data >> shift & ((1 << bits) - 1) for shift in range(0, 8, bits)], dim=-1)
    return fields.reshape(*words.shape, WORD // bits)
