"""In how many bits weights are held. Arithmetic on a CPU is float32, whatever the checkpoint holds."""

from functools import cache

import structlog
import torch

from inference_server.models.checkpoint import Weights

LEAST_ELEMENTS = 50_000_000  # smaller models answer at once anyway, and need no compiling
HALVES = {"BF16": torch.bfloat16, "F16": torch.float16}

logger = structlog.get_logger()


def choose_dtype(weights: Weights) -> tuple[torch.dtype, bool]:
    """As which dtype a checkpoint is loaded on a CPU, and whether compiled kernels then widen it as they compute.

    A checkpoint of several kinds is widened in memory, since none of them holds the others' numbers.
    """
    compiled = weights.float_elements >= LEAST_ELEMENTS and kernels_run()
    return (_half(weights) if compiled else torch.float32), compiled


def checkpoint_dtype(weights: Weights, place: torch.device) -> torch.dtype:
    """As which dtype a checkpoint is loaded, and computed with, on a device that is no CPU: what it holds, on CUDA.

    bfloat16 only where the device has it; a checkpoint of several kinds is widened.
    """
    half = _half(weights) if place.type == "cuda" else torch.float32
    return torch.float32 if half == torch.bfloat16 and not torch.cuda.is_bf16_supported() else half


def _half(weights: Weights) -> torch.dtype:
    """The one kind of 16 bits that all weights are of, else float32."""
    (kind, *others) = weights.kinds or {""}
    return torch.float32 if others else HALVES.get(kind, torch.float32)


@cache
def kernels_run() -> bool:
    """Whether the compiled kernels run here and agree with torch. Compiles for some seconds at the first call."""
    try:
        from inference_server.cpu import weight_only_linear

        differing = [str(kind) for kind in weight_only_linear.KINDS if not weight_only_linear.trustworthy(kind)]
    except Exception as fault:  # numba may be absent, or fail on a machine in ways of its own
        logger.warning("weights are widened to float32 in memory", reason=str(fault))
        return False
    if differing:
        logger.warning("weights are widened to float32 in memory", reason=f"other numbers than torch for {differing}")
    return not differing
