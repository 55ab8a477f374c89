"""In how many bits a CPU holds weights. Arithmetic there is float32, whatever the checkpoint holds."""

from functools import cache

import structlog
import torch

from inference_server.checkpoint import Weights

LEAST_ELEMENTS = 50_000_000  # smaller models answer at once anyway, and need no compiling
HALVES = {"BF16": torch.bfloat16, "F16": torch.float16}

logger = structlog.get_logger()


def chosen(weights: Weights) -> tuple[torch.dtype, bool]:
    """As which dtype a checkpoint is loaded on a CPU, and whether compiled kernels then widen it as they compute.

    A checkpoint of several kinds is widened in memory, since none of them holds the others' numbers.
    """
    compiled = weights.float_elements >= LEAST_ELEMENTS and kernels_run()
    halves = [HALVES.get(kind) for kind in weights.kinds]
    alone = halves[0] if len(halves) == 1 else None
    return (alone if compiled and alone else torch.float32), compiled


@cache
def kernels_run() -> bool:
    """Whether the compiled kernels run here and agree with torch. Compiles for some seconds at the first call."""
    try:
        from inference_server import held

        differing = [str(kind) for kind in held.KINDS if not held.trustworthy(kind)]
    except Exception as fault:  # numba may be absent, or fail on a machine in ways of its own
        logger.warning("weights are widened to float32 in memory", reason=str(fault))
        return False
    if differing:
        logger.warning("weights are widened to float32 in memory", reason=f"other numbers than torch for {differing}")
    return not differing
