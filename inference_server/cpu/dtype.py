"""The dtype of the weights in memory. Arithmetic on a CPU is always float32."""

from collections.abc import Container
from functools import cache

import structlog
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from inference_server.cpu import experts
from inference_server.cpu.scaled_embedding import scale_of
from inference_server.models.checkpoint import Weights

LEAST_ELEMENTS = 50_000_000  # smaller models are fast anyway
HALVES = {"BF16": torch.bfloat16, "F16": torch.float16}
_WEIGHT_ONLY = (nn.Linear, Conv1D)  # not their subclasses, which may do more

logger = structlog.get_logger()


def choose_dtype(weights: Weights, apart: Container[str] = ()) -> tuple[torch.dtype, bool]:
    """The dtype for loading on a CPU, and whether numba kernels then widen the weights as they compute.

    Checkpoints with mixed dtypes are loaded as float32. `apart`: names of weights that stay as they are.
    """
    held = _half(Weights({name: each for name, each in weights.tensors.items() if name not in apart}))
    compiled = weights.float_elements >= LEAST_ELEMENTS and kernels_run(held)
    return (held if compiled else torch.float32), compiled


def kept(layer: nn.Module) -> tuple[str, ...]:
    """Names of a layer's own parameters that stay as they are where kernels widen weights; others become float32."""
    if type(layer) in _WEIGHT_ONLY or scale_of(layer) is not None:
        return ("weight",)
    return experts.kept(layer) if experts.fits(layer) else ()


def checkpoint_dtype(weights: Weights, place: torch.device) -> torch.dtype:
    """The dtype for loading and computing on a GPU: the checkpoint's on CUDA, if the device supports it.

    Checkpoints with mixed dtypes are loaded as float32.
    """
    half = _half(weights) if place.type == "cuda" else torch.float32
    return torch.float32 if half == torch.bfloat16 and not torch.cuda.is_bf16_supported() else half


def _half(weights: Weights) -> torch.dtype:
    """The 16-bit dtype of all weights, else float32."""
    (kind, *others) = weights.kinds or {""}
    return torch.float32 if others else HALVES.get(kind, torch.float32)


@cache
def kernels_run(kind: torch.dtype) -> bool:
    """Whether the numba kernels for weights of a dtype run here and agree with torch.

    The first call may compile for some seconds.
    """
    try:
        from inference_server.cpu import weight_only_linear

        agree = weight_only_linear.trustworthy(kind)
    except Exception as fault:  # numba may be missing, or fail in its own ways
        logger.warning("CPU kernels not available, loading weights as float32", reason=str(fault))
        return False
    if not agree:
        reason = f"results differ from torch's for {kind}"
        logger.warning("CPU kernels not available, loading weights as float32", reason=reason)
    return agree
