"""How many rows the compiled product of a model's own layers is faster for: measured on this machine, at load."""

import time
from collections.abc import Callable
from typing import Any

import structlog
import torch
from torch import nn

from inference_server.held import FEW_ROWS, HeldLinear

ROWS = (8, 12, 16, 24, 32, 48, 64, 96)
ROUNDS = 3
NUMBERS = 20_000_000  # of weights, in layers measured in turn: more than a processor keeps near
BUDGET_S = 0.3

logger = structlog.get_logger(__name__)


def calibrate(model: nn.Module, clock: Callable[[], float] = time.perf_counter) -> None:
    """Sets `few_rows` of all held layers, from those of the shape that has most of the weights.

    Asks for ever more rows until the BLAS over widened weights is faster; what BUDGET_S leaves unmeasured stays as it
    was. Where the two ways differ in numbers, only the BLAS is used.
    """
    held = [layer for layer in model.modules() if isinstance(layer, HeldLinear)]
    layers, end = _sample(held), clock() + BUDGET_S
    few, slower = ROWS[0] // 2, False
    for rows in ROWS if layers else ():
        if clock() > end:
            break
        product, widened, same = _measure(layers, rows, clock)
        if not same:
            few, slower = 0, True
            logger.warning("the compiled product gives other numbers than torch", rows=rows)
        elif product > widened:
            slower = True
        if slower:
            break
        few = rows
    few = few if slower else max(few, FEW_ROWS)
    for layer in held:
        layer.few_rows = few
    logger.info("compiled product measured", few_rows=few)


def _sample(held: list[HeldLinear]) -> list[HeldLinear]:
    groups = dict[Any, list[HeldLinear]]()
    for layer in held:
        groups.setdefault((layer.weight.shape, layer.weight.dtype), []).append(layer)
    most = max(groups.values(), key=lambda each: len(each) * each[0].weight.numel(), default=[])
    return most[: max(1, NUMBERS // most[0].weight.numel())] if most else []


@torch.inference_mode()
def _measure(layers: list[HeldLinear], rows: int, clock: Callable[[], float]) -> tuple[float, float, bool]:
    """Seconds of the compiled product and of the BLAS, the best of ROUNDS in turn; whether their numbers agree."""
    draw = torch.Generator().manual_seed(rows)
    x = torch.randn(rows, layers[0].in_features, generator=draw)
    own, wide = (x.new_empty(rows, layers[0].out_features) for _ in range(2))
    best, same = [float("inf")] * 2, True
    for _ in range(ROUNDS):
        for way, output in enumerate((own, wide)):
            start = clock()
            for layer in layers:
                (layer.many if way else layer.few)(x, output)
            best[way] = min(best[way], clock() - start)
        same &= torch.allclose(own, wide, rtol=1e-3, atol=1e-4 * float(wide.abs().max()))
    return best[0], best[1], same
