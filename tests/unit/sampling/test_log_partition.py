"""The compiled sums over a large vocabulary, beside exact ones."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from inference_server.sampler_messages import Amount
from inference_server.sampling.compiled import MANY
from inference_server.sampling.log_partition import Moments, at_zero, compiled, partition, plain
from inference_server.sampling.pipeline import Pipeline
from inference_server.sampling.pool import History

VOCABULARY = 49_152


def _draw(kind: str) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    normal = torch.randn(VOCABULARY, generator=generator)
    if kind == "flat":
        return torch.full((VOCABULARY,), -3.5)
    if kind == "gaussian":
        return normal * 3
    if kind == "gumbel":
        return -torch.rand(VOCABULARY, generator=generator).log().neg().log() * 2
    if kind == "two peaks":
        return torch.where(torch.arange(VOCABULARY) < 40, 12 + normal, normal)
    if kind == "one sure token":
        return torch.where(torch.arange(VOCABULARY) == 7, 60.0, normal)
    return torch.where(torch.arange(VOCABULARY) % 2 == 0, -math.inf, normal)


KINDS = ("flat", "gaussian", "gumbel", "two peaks", "one sure token", "every other one ruled out")


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_compiled_sums_are_the_exact_ones(kind: str, threads: int) -> None:
    logits, before = _draw(kind), torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        points = partition(logits.numpy(), float(logits.max()))
    finally:
        torch.set_num_threads(before)
    exact = logits.double()
    for point in points:
        b = point.inverse_temperature
        weights = torch.softmax(exact * b, 0)
        seen = exact[weights > 0]
        mean = float(weights[weights > 0] @ seen)
        variance = float(weights[weights > 0] @ (seen - mean) ** 2)
        # Sums run in float32 lanes, and fewer lanes make longer sums: 2.1e-6 off with AVX2, below 2e-6 with AVX-512.
        assert point.log_sum_exp == pytest.approx(float(torch.logsumexp(exact * b, 0)), abs=5e-6)
        assert point.mean_logit == pytest.approx(mean, abs=1e-5)
        assert point.variance == pytest.approx(variance, abs=2e-4)
        assert point.variance >= 0


@pytest.mark.parametrize("kind", KINDS)
def test_at_zero_all_tokens_that_are_not_ruled_out_weigh_the_same(kind: str) -> None:
    logits = _draw(kind)
    found = at_zero(logits.numpy())
    exact = logits[logits > -math.inf].double()
    assert found.inverse_temperature == 0
    assert round(math.exp(found.log_sum_exp)) == len(exact)
    assert found.mean_logit == pytest.approx(float(exact.mean()), rel=1e-12, abs=1e-12)
    assert found.variance == pytest.approx(float(exact.var(correction=0)), rel=1e-12, abs=1e-12)
    steps = Pipeline(logits, [Amount("top_n_sigma", 1.5)], History())
    kept = logits.double() >= float(exact.max()) - 1.5 * math.sqrt(found.variance)
    assert steps.kept.tolist() == torch.nonzero(kept)[:, 0].tolist()


def test_compiled_sums_run_here_and_are_used_from_a_size_on(monkeypatch: pytest.MonkeyPatch) -> None:
    sums = compiled()
    assert sums is not None
    used = list[int]()

    def note(below: NDArray[np.float64]) -> Moments:
        used.append(len(below))
        return plain(below)

    monkeypatch.setattr("inference_server.sampling.log_partition.compiled", lambda: note)
    for count in (MANY - 1, MANY):
        partition(np.zeros(count, dtype=np.float32), 0.0)
    assert used == [MANY]
