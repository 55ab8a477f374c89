"""The row count up to which the compiled product is used follows what a clock says of it, and costs little to find."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from inference_server.cpu.autotune import ANY, BUDGET_S, ROUNDS, ROWS, calibrate
from inference_server.cpu.weight_only_linear import FEW_ROWS, WeightOnlyLinear, replace_linears


@pytest.fixture(params=[torch.bfloat16, torch.float16, torch.float32])
def model(request: pytest.FixtureRequest) -> nn.Module:
    made = nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 96), nn.Linear(96, 64), nn.Linear(64, 96)).to(request.param)
    replace_linears(made)
    return made


class Clock:
    """Time that passes only in layers: `rate` says how much for a way and a number of rows."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, rate: Callable[[str, int], float]) -> None:
        self.now = 0.0
        self.asked: list[tuple[str, int]] = []
        for way in ("compiled", "widened"):
            monkeypatch.setattr(WeightOnlyLinear, way, self._timed(getattr(WeightOnlyLinear, way), way, rate))

    def _timed(
        self, compute: Any, way: str, rate: Callable[[str, int], float]
    ) -> Callable[[Any, Tensor, Tensor], None]:
        def timed(layer: Any, rows: Tensor, y: Tensor) -> None:
            compute(layer, rows, y)
            self.asked.append((way, len(rows)))
            self.now += rate(way, len(rows))

        return timed

    def __call__(self) -> float:
        return self.now


def chosen(model: nn.Module) -> set[int]:
    return {layer.most_rows for layer in model.modules() if isinstance(layer, WeightOnlyLinear)}


@pytest.mark.parametrize(
    ("crossing", "expected"), [(0, 4), (8, 8), (30, 16), (40, 32), (100, 64), (128, ANY), (1000, ANY)]
)
def test_the_faster_way_is_taken(
    model: nn.Module, monkeypatch: pytest.MonkeyPatch, crossing: int, expected: int
) -> None:
    clock = Clock(monkeypatch, lambda way, rows: 1e-6 * (rows if way == "compiled" else crossing))
    calibrate(model, clock)
    assert chosen(model) == {expected}
    asked = {rows for _, rows in clock.asked}
    assert asked <= {rows for rows in ROWS if (rows >= ROWS[0]) == (expected >= ROWS[0])} | {ROWS[0]}, "one way only"


def test_one_slow_moment_decides_nothing(model: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    moments: Iterator[float] = iter([1.0 if i in (0, 9) else 0.0 for i in range(10_000)])
    clock = Clock(monkeypatch, lambda way, rows: 1e-5 + next(moments) * (way == "compiled"))
    calibrate(model, clock, budget_s=100.0)
    assert chosen(model) == {ANY}


@pytest.mark.parametrize(
    ("slow", "crossing", "expected", "measured"),
    [
        (32, 1000, 32, {32}),
        (64, 1000, 64, {32, 64}),
        (64, 40, 32, {32, 64}),
        (32, 0, 16, {32}),
        (16, 0, 8, {32, 16}),
        (32, 20, 16, {32}),
    ],
)
def test_a_slow_machine_is_not_kept_waiting(
    model: nn.Module, monkeypatch: pytest.MonkeyPatch, slow: int, crossing: int, expected: int, measured: set[int]
) -> None:
    clock = Clock(
        monkeypatch,
        lambda way, rows: BUDGET_S * (rows == slow) + 1e-9 * (rows if way == "compiled" else crossing),
    )
    calibrate(model, clock)
    assert chosen(model) == {expected}, "of what nobody measured, only what is sure"
    assert {rows for _, rows in clock.asked} == measured


def test_without_time_only_what_is_sure(model: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, lambda way, rows: 0.0)
    calibrate(model, clock, budget_s=-1.0)
    assert chosen(model) == {FEW_ROWS}
    assert not clock.asked


@pytest.mark.parametrize("numbers", [96 * 64, 20_000_000])
def test_only_so_many_layers_are_measured(model: nn.Module, monkeypatch: pytest.MonkeyPatch, numbers: int) -> None:
    clock = Clock(monkeypatch, lambda way, rows: 0.0)
    calibrate(model, clock, numbers=numbers)
    assert clock.asked.count(("compiled", ROWS[0])) == ROUNDS * min(2, max(1, numbers // (96 * 64)))


def test_other_numbers_are_never_used(model: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    compute = WeightOnlyLinear.compiled

    def wrong(layer: WeightOnlyLinear, rows: Tensor, y: Tensor) -> None:
        compute(layer, rows, y)
        y[-1, -1] += 0.1

    monkeypatch.setattr(WeightOnlyLinear, "compiled", wrong)
    calibrate(model)
    assert chosen(model) == {0}
    x = torch.randn(3, 64)
    first: Any = model[0]  # type: ignore[index]
    torch.testing.assert_close(first(x), x @ first.weight.float().T + first.bias, atol=1e-4, rtol=1e-4)


def test_a_model_without_held_layers() -> None:
    calibrate(nn.Sequential(nn.Linear(2, 2)))


def test_the_real_clock(model: nn.Module) -> None:
    calibrate(model)
    (few,) = chosen(model)
    assert few in (ANY, *ROWS, min(ROWS) // 2, FEW_ROWS)
