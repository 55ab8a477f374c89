"""What packed weights stand for, by gguf alone, or by a checkpoint's own rules."""

import gguf
import torch
from gguf.quants import dequantize
from torch import Tensor

from inference_server.cpu.kernels import codebooks
from inference_server.cpu.kernels.layouts import LAYOUTS
from inference_server.cpu.packed_linear import CHECKPOINT_KINDS, CODES


def wide(kind: str, blocks: Tensor) -> Tensor:
    """Rows of blocks (n, bytes) → (n, width) in float64."""
    if kind in CHECKPOINT_KINDS:
        return checkpoint_wide(kind, blocks.view(-1, LAYOUTS[CODES[kind]][1])).view(len(blocks), -1)
    return torch.from_numpy(dequantize(blocks.numpy(), gguf.GGMLQuantizationType[kind])).double()


def checkpoint_wide(kind: str, blocks: Tensor) -> Tensor:
    """Of blocks (n, bytes): codebook[place]·s, or (q - z)·s."""
    head, data = blocks[:, :4].contiguous(), blocks[:, 4:]
    places = torch.cat((data & 15, data >> 4), 1)
    if kind in ("NF4", "FP4"):
        places = torch.stack((data.view(-1, 4, 4) & 15, data.view(-1, 4, 4) >> 4), 2).view(-1, 32)
        code = torch.tensor(codebooks.NORMAL if kind == "NF4" else codebooks.FLOAT).double()
        return code[places.long()] * head.view(torch.float32).double()
    if kind == "I8":
        return data.contiguous().view(torch.int8).double() * head.view(torch.float32).double()
    shared = head.view(torch.float16).double()
    scale, zero = shared[:, :1], shared[:, 1:]
    levels = data if kind == "U8" else places
    return (levels.double() + zero) * scale
