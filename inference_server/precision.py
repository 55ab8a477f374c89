"""Float32 arithmetic on a CPU, whatever the checkpoint holds."""

import structlog
from torch import nn

logger = structlog.get_logger(__name__)


def use_float32(model: nn.Module) -> bool:
    """Lets a CPU model, loaded as its checkpoint holds it, compute in float32.

    Its weights stay as they are where the compiled kernels run and agree with torch (true is returned), and are
    widened in memory where not. Compiles for some seconds at the first call.
    """
    try:
        from inference_server import held

        held.hold(model)
    except Exception as fault:  # numba may be absent, or fail on a machine in ways of its own
        logger.warning("weights are widened to float32 in memory", reason=str(fault))
        model.float()
        return False
    return True
