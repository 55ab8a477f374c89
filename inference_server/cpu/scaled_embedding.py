"""Embeddings that multiply their rows by a constant, as Gemma's do."""

from functools import cache
from typing import Any

import torch
from torch import nn

CONSTANT = "scalar_embed_scale"  # in 32 bits; transformers' buffer beside it has the weights' precision


def scale_of(layer: nn.Module) -> float | None:
    """What an embedding multiplies its rows by, 1.0 for a plain one; None for a layer that does something else."""
    if type(layer) is nn.Embedding:
        return 1.0
    kind: Any = type(layer)
    scale = getattr(layer, CONSTANT, None)
    if not isinstance(scale, float) or not issubclass(kind, nn.Embedding):
        return None
    return scale if _multiplies(kind) else None


@cache
def _multiplies(kind: Any) -> bool:
    """Whether a class does no more than that, tried on a small embedding."""
    rows = torch.arange(6.0, device="cpu").view(3, 2)
    try:
        small = kind(3, 2, 0, embed_scale=0.3).to_empty(device="cpu").float()
        small.weight.data, small.embed_scale = rows, torch.tensor(0.3, device="cpu")
        return torch.equal(small(torch.arange(3, device="cpu")), rows * 0.3)
    except Exception:  # whatever another constructor raises
        return False
