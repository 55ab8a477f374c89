"""Log-odds beside exact ones, also where a token has nearly all of the probability."""

import math

import pytest
import torch

from inference_server.errors import ComputeFailed
from inference_server.sampling.log_odds import log_odds


def exact(row: torch.Tensor, target: int) -> float:
    """In float64, by what the others sum to."""
    others = torch.cat((row[:target], row[target + 1 :])).double()
    return float(row[target].double() - others.logsumexp(0))


@pytest.mark.parametrize("high", [-50.0, 0.0, 9.0, 60.0, 400.0])
def test_against_all_others(high: float) -> None:
    rows = torch.randn(3, 49_152, generator=torch.Generator().manual_seed(1)) * 3
    rows[:, 7] = high
    for row, found in zip(rows, log_odds(rows, 7), strict=True):
        assert found == pytest.approx(exact(row, 7), abs=1e-5)


def test_against_another_token() -> None:
    rows = torch.tensor([[1.0, 4.0, 2.5], [0.0, -1.0, 2.0]])
    assert log_odds(rows, 1, 2) == [1.5, -3.0]


def test_a_token_without_probability() -> None:
    rows = torch.tensor([[-math.inf, 1.0, -math.inf]])
    assert log_odds(rows, 0) == [-math.inf]
    assert log_odds(rows, 1) == [math.inf]
    assert log_odds(rows, 1, 0) == [math.inf]
    assert math.isnan(log_odds(rows, 0, 2)[0])


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_broken_logits_are_refused(bad: float) -> None:
    with pytest.raises(ComputeFailed):
        log_odds(torch.tensor([[0.0, bad]]), 0)
