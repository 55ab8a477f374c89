"""Kernels for what numpy does too: which of them runs is a matter of speed alone."""

from collections.abc import Callable
from typing import TypeVar

import structlog

MANY = 16_384  # vocabulary size from which compiled kernels pay off

Kernel = TypeVar("Kernel")

logger = structlog.get_logger(__name__)


def unless_it_differs(name: str, make: Callable[[], Kernel], agree: Callable[[Kernel], bool]) -> Kernel | None:
    """A kernel, or None, which the log explains, where numba is missing or fails or `agree` says no."""
    try:
        kernel = make()
    except Exception as fault:  # numba may be missing, or fail in its own ways
        reason = str(fault)
    else:
        if agree(kernel):
            return kernel
        reason = "results differ from numpy's"
    logger.warning("kernel not available, using numpy", kernel=name, reason=reason)
    return None
