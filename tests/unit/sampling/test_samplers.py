"""Every sampler step keeps the tokens, with the probabilities, that transformers' logits processors do, and llama.cpp
where transformers has none: on random distributions, and on those of a published model where its files are."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from published import MODEL, folder
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.generation import logits_process

from inference_server.sampler_messages import Amount, Ban, LogitBias, Penalty, Sampler, Xtc
from inference_server.sampling.pipeline import Pipeline
from inference_server.sampling.pool import History, Pool
from inference_server.sampling.samplers import apply, top_k, typical_p, xtc

theirs: Any = logits_process  # its types know no plain tensors
ROWS, V, REAL_ROWS = 1000, 300, 24
TEXT = "The quick brown fox jumps over the lazy dog. Once upon a time, in 1984, there was a very small"
HISTORY = (3, 3, 9, 250, 17, 9, 3, 120)

Chain = tuple[tuple[Sampler, Any], ...]
STEPS: dict[str, Chain] = {
    "temperature": ((Amount("temperature", 0.7), theirs.TemperatureLogitsWarper(0.7)),),
    "top_k": ((Amount("top_k", 7), theirs.TopKLogitsWarper(7)),),
    "top_k of all": ((Amount("top_k", 10**6), theirs.TopKLogitsWarper(10**6)),),
    "top_p": ((Amount("top_p", 0.83), theirs.TopPLogitsWarper(0.83)),),
    "a small top_p": ((Amount("top_p", 0.01), theirs.TopPLogitsWarper(0.01)),),
    "min_p": ((Amount("min_p", 0.05), theirs.MinPLogitsWarper(0.05)),),
    "typical_p": ((Amount("typical_p", 0.9), theirs.TypicalLogitsWarper(0.9)),),
    "a small typical_p": ((Amount("typical_p", 0.2), theirs.TypicalLogitsWarper(0.2)),),
    "epsilon": ((Amount("epsilon", 0.01), theirs.EpsilonLogitsWarper(0.01)),),
    "a large epsilon": ((Amount("epsilon", 0.9), theirs.EpsilonLogitsWarper(0.9)),),
    "eta": ((Amount("eta", 0.02), theirs.EtaLogitsWarper(0.02)),),
    "top_h": ((Amount("top_h", 0.4), theirs.TopHLogitsWarper(0.4)),),
    "a large top_h": ((Amount("top_h", 0.9), theirs.TopHLogitsWarper(0.9)),),
    "repetition": ((Penalty("repetition_penalty", 1.3), theirs.RepetitionPenaltyLogitsProcessor(1.3)),),
    "reward": ((Penalty("repetition_penalty", 0.8), theirs.RepetitionPenaltyLogitsProcessor(0.8)),),
    "repetition of the answer": (
        (
            Penalty("repetition_penalty", 1.3, ignore_prompt=True),
            theirs.RepetitionPenaltyLogitsProcessor(1.3, prompt_ignore_length=3),
        ),
    ),
    "bias": ((LogitBias((90, 4), (-3.5, 2.0)), theirs.SequenceBiasLogitsProcessor({(90,): -3.5, (4,): 2.0})),),
    "ban": ((Ban((250, 0, 7)), theirs.SuppressTokensLogitsProcessor([250, 0, 7])),),
}
STEPS["all in transformers' order"] = tuple(
    STEPS[name][0]
    for name in ("bias", "repetition", "ban", "temperature", "a large top_h", "top_k", "top_p", "min_p", "typical_p")
)
STEPS["in another order"] = tuple(
    STEPS[name][0] for name in ("ban", "typical_p", "top_p", "eta", "temperature", "epsilon", "repetition", "min_p")
)


@pytest.fixture(scope="module")
def random_rows() -> Tensor:
    """Flat, usual and steep distributions."""
    chance = torch.Generator().manual_seed(11)
    scale = torch.linspace(0.1, 8, ROWS, dtype=torch.float64)[:, None]
    return (torch.randn((ROWS, V), generator=chance, dtype=torch.float64) * scale).float()


@pytest.fixture(scope="module")
def real_rows() -> Iterator[Tensor]:
    """A published model's logits at every place of a text."""
    place = folder(MODEL)
    ids = AutoTokenizer.from_pretrained(place)(TEXT, return_tensors="pt").input_ids
    with torch.inference_mode():
        yield AutoModelForCausalLM.from_pretrained(place, dtype=torch.float32)(ids).logits[0, -REAL_ROWS:]


def assert_as_processors(rows: Tensor, chain: Chain) -> None:
    ids = torch.tensor([HISTORY]).expand(len(rows), -1)
    scores = rows.double()
    for _, processor in chain:
        if isinstance(processor, theirs.SequenceBiasLogitsProcessor):
            processor.prepared_bias_variables = False  # which are of the vocabulary that it saw first
        scores = processor(ids, scores)
    samplers, history = [step for step, _ in chain], History(HISTORY, 3)
    ours = np.stack([Pipeline(row, samplers, history).logprobs() for row in rows])
    np.testing.assert_array_equal(ours > -np.inf, (scores > -torch.inf).numpy())
    np.testing.assert_allclose(np.exp(ours), scores.softmax(-1).numpy(), rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("name", STEPS)
def test_random_distributions_are_sampled_as_by_transformers(name: str, random_rows: Tensor) -> None:
    assert_as_processors(random_rows, STEPS[name])


@pytest.mark.parametrize("name", STEPS)
def test_real_distributions_are_sampled_as_by_transformers(name: str, real_rows: Tensor) -> None:
    assert_as_processors(real_rows, STEPS[name])


def test_top_n_sigma_is_that_of_llama_cpp(random_rows: Tensor) -> None:
    """The standard deviation of all scores that are left, and a cut below the highest less n of them."""
    history = History()
    for row in random_rows.numpy():
        logits = row.astype(np.float64)
        kept = np.flatnonzero(logits >= logits.max() - 1.5 * np.sqrt(((logits - logits.mean()) ** 2).mean()))
        assert Pipeline(torch.tensor(row), [Amount("top_n_sigma", 1.5)], history).kept.tolist() == kept.tolist()
        twenty = np.sort(logits)[-20:]
        kept = np.flatnonzero(logits >= twenty[-1] - 0.5 * twenty.std())
        steps = [Amount("temperature", 0.5), Amount("top_k", 20), Amount("top_n_sigma", 0.5)]
        assert Pipeline(torch.tensor(row), steps, history).kept.tolist() == kept.tolist()


def test_xtc_is_that_of_llama_cpp(random_rows: Tensor) -> None:
    """In descending order, all tokens above the threshold but the last of them are dropped."""
    acted = 0
    for row in random_rows:
        p = row.double().softmax(0)
        order = p.argsort(descending=True).tolist()
        last = max(0, int((p >= 0.06).sum()) - 1)
        acted += last > 0
        steps = [Xtc(0.5, 0.06, coin=0.4999)]
        assert Pipeline(row, steps, History()).kept.tolist() == sorted(order[last:])
        assert len(Pipeline(row, [Xtc(0.5, 0.06, coin=0.5)], History()).kept) == V
    assert acted > 100


@pytest.mark.parametrize("step", [Xtc(0.0, 0.1, 0.0), Xtc(1.0, 0.51, 0.0), Xtc(1.0, 0.4)])
def test_xtc_may_do_nothing(step: Xtc) -> None:
    pool = Pool(np.arange(3), np.log([0.6, 0.3, 0.1]))
    assert xtc(pool, step) is pool


def test_xtc_acts_where_no_coin_is_given() -> None:
    pool = Pool(np.arange(4), np.log([0.4, 0.3, 0.2, 0.1]))
    assert xtc(pool, Xtc(0.01, 0.2)).ids.tolist() == [2, 3]


def test_penalties_are_those_of_llama_cpp(random_rows: Tensor) -> None:
    counts = np.bincount(HISTORY[-5:], minlength=V)
    steps = [Penalty("frequency_penalty", 0.4, last=5), Penalty("presence_penalty", -0.7, last=5)]
    for row in random_rows[:100]:
        expected = row.double().numpy() - 0.4 * counts + 0.7 * (counts > 0)
        p = torch.tensor(expected).softmax(0)
        np.testing.assert_allclose(np.exp(Pipeline(row, steps, History(HISTORY)).logprobs()), p, rtol=1e-9)


def test_equals_stay_together_where_transformers_keeps_them() -> None:
    scores = np.array([1.0, 3.0, 1.0, 2.0, 1.0])
    pool = Pool(np.arange(5), scores)
    assert top_k(pool, 3).ids.tolist() == [0, 1, 2, 3, 4]
    assert theirs.TopKLogitsWarper(3)(torch.zeros((1, 0)), torch.tensor(scores)[None]).isfinite().all()


def test_typical_stops_where_the_mass_is_reached_exactly() -> None:
    """transformers counts what lies below the mass with <, llama.cpp goes on until it is above."""
    pool = Pool(np.arange(4), np.log([0.25, 0.25, 0.25, 0.25]))
    assert len(typical_p(pool, 0.5).ids) == 4  # all are as near
    p = np.array([0.5, 0.25, 0.125, 0.125])
    kept = typical_p(Pool(np.arange(4), np.log(p)), 0.25).ids.tolist()
    scores = theirs.TypicalLogitsWarper(0.25)(torch.zeros((1, 0)), torch.tensor(np.log(p))[None])
    assert kept == torch.isfinite(scores[0]).nonzero()[:, 0].tolist() == [1]


def test_a_temperature_of_nothing_keeps_the_highest() -> None:
    pool = Pool(np.arange(4), np.array([1.0, 5.0, 5.0, -3.0]))
    assert apply(Amount("temperature", 0), pool, History()).ids.tolist() == [1, 2]
    tiny = apply(Amount("temperature", 5e-324), pool, History())
    assert tiny.probabilities.tolist() == [0.5, 0.5]


def test_removed_tokens_stay_removed() -> None:
    row = torch.tensor([1.0, 2.0, 3.0, -torch.inf])
    steps: list[Sampler] = [
        Amount("top_k", 2),
        LogitBias((0, 3, 1), (100.0, 100.0, 1.0)),
        Penalty("repetition_penalty", 2.0),
    ]
    assert Pipeline(row, steps, History((0, 2, 99))).logprobs().tolist() == pytest.approx(
        [-np.inf, *torch.tensor([3.0, 1.5]).log_softmax(0).tolist(), -np.inf], rel=1e-6
    )
