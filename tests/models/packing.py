"""Weights packed as bitsandbytes, GPTQ and AWQ write them."""

import json
from typing import Any

import torch
from torch import Tensor

from inference_server.cpu.kernels import codebooks
from models.quantised import Pack, Tensors

BLOCK, NESTED, GROUP = 64, 8, 32
ANY_CODE = tuple((torch.linspace(-1, 1, 16) ** 3).tolist())
NESTED_CODE = torch.linspace(-1, 1, 256)
STATE = "weight.quant_state.bitsandbytes__nf4"
ORDER = (0, 2, 4, 6, 1, 3, 5, 7)  # AWQ: which of eight outputs lies in each place of a word


def nearest(values: Tensor, code: Tensor) -> Tensor:
    """The place of the nearest number in a code."""
    return (values[:, None] - code).abs().argmin(1)


def four_bits(nested: bool, code: tuple[float, ...] = codebooks.NORMAL) -> Pack:
    """As bitsandbytes: 64 numbers share a scale; those are bytes themselves, about their mean, if nested."""

    def pack(weight: Tensor) -> tuple[Tensors, Tensor]:
        table = torch.tensor(code)
        blocks = weight.reshape(-1, BLOCK)
        scales = blocks.abs().amax(1)
        state: dict[str, Any] = {"quant_type": "nf4", "blocksize": BLOCK, "dtype": "bfloat16"}
        state["shape"] = list(weight.shape)
        stored: Tensors = {"weight.absmax": scales, "weight.quant_map": table}
        if nested:
            offset = float(scales.mean())
            groups = (scales - offset).reshape(-1, NESTED)
            largest = groups.abs().amax(1)
            places = nearest((groups / largest[:, None]).reshape(-1), NESTED_CODE)
            scales = NESTED_CODE[places] * largest.repeat_interleave(NESTED) + offset
            state |= {"nested_blocksize": NESTED, "nested_dtype": "float32", "nested_offset": offset}
            stored |= {
                "weight.absmax": places.to(torch.uint8),
                "weight.nested_absmax": largest,
                "weight.nested_quant_map": NESTED_CODE.clone(),
            }
        places = nearest((blocks / scales[:, None]).reshape(-1), table)
        stored["weight"] = (16 * places[::2] + places[1::2]).to(torch.uint8)[:, None]
        stored[STATE] = torch.tensor(list(json.dumps(state).encode()), dtype=torch.uint8)
        return stored, (table[places].reshape(-1, BLOCK) * scales[:, None]).reshape(weight.shape)

    return pack


def kept_as_floats(weight: Tensor) -> tuple[Tensors, Tensor]:
    """bitsandbytes again, its bytes kept as if they were bfloat16."""
    stored, numbers = four_bits(nested=False)(weight)
    stored["weight"] = stored["weight"].reshape(-1).view(torch.bfloat16)[:, None]
    return stored, numbers


def eight_bits(weight: Tensor) -> tuple[Tensors, Tensor]:
    largest = weight.abs().amax(1)
    numbers = (weight * 127 / largest[:, None]).round().to(torch.int8)
    stored = {"weight": numbers, "SCB": largest, "weight_format": torch.tensor(0, dtype=torch.uint8)}
    return stored, numbers.float() * largest[:, None] / 127


def words(numbers: Tensor, bits: int, order: tuple[int, ...] | None = None) -> Tensor:
    """Numbers along the last axis packed into words of 32 bits, the first in its lowest bits."""
    apart = numbers.reshape(*numbers.shape[:-1], -1, 32 // bits).long()
    apart = apart if order is None else apart[..., list(order)]
    whole = sum(apart[..., at] << (bits * at) for at in range(32 // bits))
    assert isinstance(whole, Tensor)
    return torch.where(whole >= 2**31, whole - 2**32, whole).to(torch.int32)


def grouped(weight: Tensor, groups: Tensor, most: int) -> tuple[Tensor, Tensor, Tensor]:
    """Numbers, zeros and scales (in 16 bits) of a weight whose inputs belong to these groups."""
    count = int(groups.max()) + 1
    low = torch.stack([weight[:, groups == each].amin(1) for each in range(count)], 1)
    high = torch.stack([weight[:, groups == each].amax(1) for each in range(count)], 1)
    scales = ((high - low) / most).half()
    zeros = (-low / scales.float()).round().clamp(1, most)
    numbers = (weight / scales.float()[:, groups] + zeros[:, groups]).round().clamp(0, most)
    return numbers, zeros, scales


def gptq(
    bits: int = 4,
    *,
    shuffled: bool = False,
    told: bool = True,
    above: int = 1,
    group: int = GROUP,
    scale: float = 1.0,
) -> Pack:
    """As AutoGPTQ: zeros are stored one less; groups may be of inputs that lie apart. `scale`: of float32 scales."""

    def pack(weight: Tensor) -> tuple[Tensors, Tensor]:
        groups = torch.arange(weight.shape[1]) // group
        if shuffled:
            groups = groups[torch.randperm(len(groups), generator=torch.Generator().manual_seed(3))]
        numbers, zeros, scales = grouped(weight, groups, 2**bits - 1)
        scales = scales if scale == 1 else scales.float() * scale
        stored = {
            "qweight": words(numbers, bits).T,
            "qzeros": words(zeros.T - above, bits),
            "scales": scales.T,
            **({"g_idx": groups.to(torch.int32)} if told else {}),
        }
        return stored, (numbers - zeros[:, groups]) * scales.float()[:, groups]

    return pack


def awq(weight: Tensor) -> tuple[Tensors, Tensor]:
    groups = torch.arange(weight.shape[1]) // GROUP
    numbers, zeros, scales = grouped(weight, groups, 15)
    stored = {"qweight": words(numbers.T, 4, ORDER), "qzeros": words(zeros.T, 4, ORDER), "scales": scales.T}
    return stored, (numbers - zeros[:, groups]) * scales.float()[:, groups]


BNB4 = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
GPTQ4 = {"quant_method": "gptq", "bits": 4, "group_size": GROUP, "desc_act": False}
AWQ4 = {"quant_method": "awq", "bits": 4, "group_size": GROUP, "version": "gemm", "zero_point": True}
KINDS: dict[str, tuple[Pack, dict[str, Any], str]] = {
    "bitsandbytes, 4 bits": (four_bits(nested=False), BNB4, "bitsandbytes"),
    "bitsandbytes, 4 bits, nested": (four_bits(nested=True), {"load_in_4bit": True}, "bitsandbytes"),
    "bitsandbytes, FP4": (four_bits(nested=False, code=codebooks.FLOAT), BNB4, "bitsandbytes"),
    "bitsandbytes, 4 bits, kept as floats": (kept_as_floats, BNB4, "bitsandbytes"),
    "bitsandbytes, 8 bits": (eight_bits, {"quant_method": "bitsandbytes", "load_in_8bit": True}, "bitsandbytes"),
    "gptq": (gptq(), GPTQ4, "GPTQ"),
    "gptq, shuffled": (gptq(shuffled=True), {**GPTQ4, "desc_act": True}, "GPTQ"),
    "gptq, groups not told": (gptq(told=False), GPTQ4, "GPTQ"),
    "gptq, zeros as they are": (gptq(above=0), {**GPTQ4, "checkpoint_format": "gptq_v2"}, "GPTQ"),
    "gptq, 8 bits": (gptq(8), {**GPTQ4, "bits": 8}, "GPTQ"),
    "gptq, 2 bits": (gptq(2), {**GPTQ4, "bits": 2}, "GPTQ"),
    "awq": (awq, AWQ4, "AWQ"),
}


WIDENED: dict[str, tuple[Pack, dict[str, Any], str]] = {
    "bitsandbytes, another codebook": (four_bits(nested=False, code=ANY_CODE), BNB4, "bitsandbytes"),
    "gptq, groups of 16": (gptq(group=16), {**GPTQ4, "group_size": 16}, "GPTQ"),
    "gptq, scales of more bits": (gptq(scale=0.7), GPTQ4, "GPTQ"),
}
"""What no blocks hold."""
