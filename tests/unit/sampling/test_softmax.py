"""The exponentials of a softmax, compiled and in numpy, beside torch's in float64."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from inference_server.sampling.compiled import MANY
from inference_server.sampling.distribution import Distribution, below, weights
from inference_server.sampling.softmax import Weights, compiled

Logits = NDArray[np.float32]

VOCABULARY = 49_153  # no multiple of anything that is read at once
TEMPERATURES = (1e-300, 1e-4, 0.3, 1.0, 20.0)


def draw(spread: float) -> Logits:
    logits = np.random.default_rng(8).normal(size=VOCABULARY) * spread
    logits[::7] = -math.inf
    return logits.astype(np.float32)


def of(logits: Logits, temperature: float) -> Weights:
    return weights(logits, float(logits.max()), temperature)


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("spread", [0.0, 1.0, 30.0])
def test_a_large_vocabulary(spread: float, temperature: float) -> None:
    logits = draw(spread)
    found, total, mean_below = of(logits, temperature)
    exact = torch.from_numpy(logits).double() / temperature
    probabilities, logs = exact.softmax(0), exact.log_softmax(0)
    possible = probabilities > 0
    assert found / total == pytest.approx(probabilities.numpy(), rel=1e-12, abs=1e-300)
    assert math.log(total) == pytest.approx(float(exact.logsumexp(0) - exact.max()), abs=1e-12)
    mean = float((probabilities[possible] * (exact[possible] - exact.max())).sum())
    assert mean_below == pytest.approx(mean, rel=1e-12, abs=1e-12)
    entropy = -float((probabilities[possible] * logs[possible]).sum()) / math.log(2)
    assert Distribution(torch.from_numpy(logits), temperature).entropy_bits == pytest.approx(entropy, abs=1e-11)


@pytest.mark.parametrize("temperature", [1e-4, 0.3, 1.0, 20.0])
def test_the_compiled_one_is_the_one_in_numpy(temperature: float, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = compiled()
    assert kernel is not None
    logits = np.linspace(-800, 9, VOCABULARY, dtype=np.float32)  # to where float64 knows 0 alone
    found, total, mean_below = kernel(logits, 9.0, temperature)
    monkeypatch.setattr("inference_server.sampling.softmax.compiled", lambda: None)
    plain, plain_total, plain_mean = of(logits, temperature)
    assert found == pytest.approx(plain, rel=1e-12, abs=np.finfo(np.float64).tiny)
    assert total == pytest.approx(plain_total, rel=1e-13)
    assert mean_below == pytest.approx(plain_mean, rel=1e-12, abs=1e-300)
    assert (found[-1], found[0]) == (1, 0 if temperature <= 1 else pytest.approx(math.exp(-809 / 20)))


def test_temperature_zero_shares_among_the_highest() -> None:
    logits = np.zeros(VOCABULARY, dtype=np.float32)
    logits[[5, 77]] = 2
    found, total, mean_below = of(logits, 0)
    assert (total, mean_below) == (2, 0)
    assert np.flatnonzero(found).tolist() == [5, 77]
    assert below(logits, 2, 0)[[4, 5]].tolist() == [-math.inf, 0]


def test_it_is_compiled_from_a_size_on(monkeypatch: pytest.MonkeyPatch) -> None:
    used = list[int]()

    def note(logits: Logits, highest: float, temperature: float) -> Weights:
        used.append(len(logits))
        return np.ones(len(logits)), float(len(logits)), 0.0

    monkeypatch.setattr("inference_server.sampling.softmax.compiled", lambda: note)
    for count, temperature in ((MANY - 1, 1.0), (MANY, 1.0), (MANY, 0), (MANY, 5e-324)):
        of(np.zeros(count, dtype=np.float32), temperature)
    assert used == [MANY]
