"""Measures at load up to how many rows the compiled product is faster than BLAS on a model's layers."""

import time
from collections.abc import Callable
from typing import Any

import structlog
import torch
from torch import nn

from inference_server.cpu.weight_only_linear import FEW_ROWS, WeightOnlyLinear

ROWS = (32, 64, 128, 16, 8)  # in the order in which they are tried: the middle first, for it decides where to go on
ANY = 1 << 40  # unlimited
ROUNDS = 3
CLEAR = 1.5  # times as fast: not measured a third time
NUMBERS = 10_000_000  # weights to measure with: more than fit in a core's caches
BUDGET_S = 0.3

logger = structlog.get_logger(__name__)


def calibrate(
    model: nn.Module,
    clock: Callable[[], float] = time.perf_counter,
    budget_s: float = BUDGET_S,
    numbers: int = NUMBERS,
) -> None:
    """Sets `most_rows` of all weight-only layers, measured on those of the most common shape.

    Looks for the most rows at which the compiled product beats BLAS on widened weights, until `budget_s` is up;
    `numbers` limits the weights measured. If it wins at the largest number of rows, it is used for any. If results
    differ, only BLAS is used.
    """
    linears = [layer for layer in model.modules() if isinstance(layer, WeightOnlyLinear)]
    layers, end = _sample(linears, numbers), clock() + budget_s
    if not layers:
        return
    won, lost = 0, ANY
    for rows in ROWS:
        if not won <= rows <= lost:
            continue
        if clock() > end:
            won = won or min(rows, FEW_ROWS)
            break
        product, widened, same = _measure(layers, rows, clock)
        if not same:
            won = lost = 0
            logger.warning("compiled product differs from torch's, not used", rows=rows)
            break
        won, lost = (rows, lost) if product <= widened else (won, rows)
    most = ANY if won == max(ROWS) else won or min(lost, min(ROWS)) // 2
    for layer in linears:
        layer.most_rows = most
    logger.info("compiled product tuned", most_rows="any" if most == ANY else most)


def _sample(linears: list[WeightOnlyLinear], numbers: int) -> list[WeightOnlyLinear]:
    groups = dict[Any, list[WeightOnlyLinear]]()
    for layer in linears:
        groups.setdefault((layer.weight.shape, layer.kind), []).append(layer)
    most = max(groups.values(), key=lambda each: len(each) * _numbers(each[0]), default=[])
    return most[: max(1, numbers // _numbers(most[0]))] if most else []


def _numbers(layer: WeightOnlyLinear) -> int:
    return layer.out_features * layer.in_features


@torch.inference_mode()
def _measure(layers: list[WeightOnlyLinear], rows: int, clock: Callable[[], float]) -> tuple[float, float, bool]:
    """Seconds of the compiled product and of BLAS, best of at most ROUNDS, and whether they agree."""
    draw = torch.Generator().manual_seed(rows)
    x = torch.randn(rows, layers[0].in_features, generator=draw)
    own, wide = (x.new_empty(rows, layers[0].out_features) for _ in range(2))
    best, same = [float("inf")] * 2, True
    for round_number in range(ROUNDS):
        for way, output in enumerate((own, wide)):
            start = clock()
            for layer in layers:
                (layer.widened if way else layer.compiled)(x, output)
            best[way] = min(best[way], clock() - start)
        same &= torch.allclose(own, wide, rtol=1e-3, atol=1e-4 * float(wide.abs().max()))
        if round_number and CLEAR * min(best) < max(best):
            break
    return best[0], best[1], same
