"""The numbers are true: for every architecture with every kind of tokenizer, what we answer is what plain transformers
computes, alone or in a batch with prompts of other lengths."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from inference_server.attention.batch import Segment
from inference_server.messages import Candidate, ScoreQuery, TopKAnswer, TopKQuery
from inference_server.runtime import whole_pass
from inference_server.runtime.model_runner import ModelRunner
from models import gguf_files
from models.architectures import ARCHITECTURES
from models.conftest import GGUF, Cell
from models.forms import CELLS as FORMS
from models.shipped import CELLS as SHIPPED
from models.tokenizers import KINDS

UNFIT = {"bloom", "falcon", "falcon_alibi", "mamba", "rwkv", "phi3_longrope"}  # no paged pass: one prompt at a time
PROBABILITY = 1e-4  # what the contract promises
LOGIT = 1e-3
TEMPERATURES = (0.0, 0.3, 1.0, 2.0)
TEXTS = (
    "a",
    "The little girl was very",
    "Once upon a time  in 2024 there was naïve 東京 🎉, and then",
    "Tom and his  2 dogs",
)

MakeCell = Callable[[str, str], Cell]

each_cell = pytest.mark.parametrize(
    ("architecture", "kind"),
    [
        *((architecture, kind) for architecture in ARCHITECTURES for kind in KINDS),
        *SHIPPED,
        *((architecture, GGUF) for architecture in gguf_files.CONFIGS),
        *FORMS,
    ],
)
each_architecture = pytest.mark.parametrize("architecture", ARCHITECTURES)


def probabilities(logits: Tensor, temperature: float) -> Tensor:
    """softmax(logits / temperature) as the contract defines it."""
    if temperature == 0:
        highest = (logits == logits.max()).float()
        return highest / highest.sum()
    return torch.softmax(logits / temperature, 0)


def ranks(logits: Tensor) -> list[int]:
    """Every id, by descending logit, equal ones by ascending id."""
    return list(map(int, logits.sort(descending=True, stable=True).indices.tolist()))


def assert_true(found: Candidate, logits: Tensor, temperature: float) -> None:
    """One candidate says what plain logits say of its token."""
    token_id = found.token.token_id
    expected = float(probabilities(logits, temperature)[token_id])
    assert found.probability == pytest.approx(expected, abs=PROBABILITY)
    assert found.logit == pytest.approx(float(logits[token_id]), abs=LOGIT)
    if found.probability > 0:
        assert found.logprob == pytest.approx(math.log(found.probability), abs=1e-9)
    else:
        assert found.logprob == -math.inf


def assert_answers(answer: TopKAnswer, logits: Tensor, temperature: float) -> None:
    """A whole answer about one prompt says what plain logits say."""
    every = probabilities(logits, temperature)
    order = ranks(logits)
    for rank, candidate in enumerate(answer.candidates, start=1):
        assert candidate.rank == rank
        assert_true(candidate, logits, temperature)
        # Two logits closer than the tolerance may change places.
        assert float(logits[order[rank - 1]]) == pytest.approx(candidate.logit, abs=LOGIT)
    for watched in answer.watched:
        assert_true(watched, logits, temperature)
    shown = [candidate.token.token_id for candidate in answer.candidates]
    assert answer.other_probability == pytest.approx(1 - float(every[shown].sum()), abs=PROBABILITY)
    entropy = float(torch.special.entr(every.double()).sum()) / math.log(2)
    assert answer.entropy_bits == pytest.approx(entropy, abs=1e-3)
    assert answer.vocab_size == len(logits)


def ask(temperature: float, token_ids: Sequence[int]) -> TopKQuery:
    return TopKQuery(token_ids=token_ids, temperature=temperature, top_k=8, watch_token_ids=(3, 200))


@each_cell
async def test_a_prompt_alone(cell: MakeCell, architecture: str, kind: str) -> None:
    at = cell(architecture, kind)
    for text in TEXTS[:3]:
        ids = at.ids(text)
        logits = at.plain(ids)[-1]
        for temperature in TEMPERATURES:
            query = TopKQuery(text=text, temperature=temperature, top_k=8, watch_token_ids=(3, 200))
            answer = await at.engine.top_k(query, None)
            assert answer.token_count == len(ids)
            assert_answers(answer, logits, temperature)


@each_cell
async def test_prompts_of_other_lengths_in_one_batch(
    cell: MakeCell, architecture: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = cell(architecture, kind)
    at.forget()
    passes: list[int] = []
    compute = ModelRunner.run

    def counting(self: ModelRunner, segments: Sequence[Segment], *more: Any) -> Tensor:
        passes.append(len(segments))
        return compute(self, segments, *more)

    monkeypatch.setattr(ModelRunner, "run", counting)
    prompts = [at.ids(text) for text in TEXTS]
    cases = list(zip(prompts, TEMPERATURES, strict=True))
    answers = await at.together(lambda: [at.engine.top_k(ask(temperature, ids), None) for ids, temperature in cases])
    assert (max(passes, default=0) > 1) == (architecture not in UNFIT)
    for answer, (ids, temperature) in zip(answers, cases, strict=True):
        assert_answers(answer, at.plain(ids)[-1], temperature)


@each_cell
async def test_every_token_of_a_text(
    cell: MakeCell, architecture: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = cell(architecture, kind)
    at.forget()
    monkeypatch.setattr(whole_pass, "LOGITS_BYTES", 3 * 4 * at.engine.facts.vocab_size)  # three positions at a time
    ids = at.ids(TEXTS[2])
    logits = at.plain(ids[:-1])
    answer = await at.engine.score(ScoreQuery(text=TEXTS[2], top_k=3), None)
    assert [token.candidate.token for token in answer.tokens] == at.vocabulary.spell(ids)
    assert [token.unconditioned for token in answer.tokens] == [True, *[False] * (len(ids) - 1)]
    conditioned = answer.tokens[1:]
    for token, row in zip(conditioned, logits, strict=True):
        assert_true(token.candidate, row, 1.0)
        assert token.candidate.rank == pytest.approx(ranks(row).index(token.candidate.token.token_id) + 1, abs=2)
        for place, alternative in enumerate(token.alternatives, start=1):
            assert alternative.rank == place
            assert_true(alternative, row, 1.0)
    expected = torch.log_softmax(logits.double(), -1).gather(1, torch.tensor(ids[-len(logits) :])[:, None]).sum()
    assert answer.total_logprob == pytest.approx(float(expected), abs=1e-2)
    assert answer.perplexity == pytest.approx(math.exp(-float(expected) / len(logits)), rel=1e-3)


@each_architecture
@pytest.mark.parametrize("kind", ["byte_bpe", "tiktoken"])
async def test_a_score_is_what_top_k_says_of_each_beginning(cell: MakeCell, architecture: str, kind: str) -> None:
    """The first token's too, where the tokenizer puts a mark in front of texts: then it follows that."""
    at = cell(architecture, kind)
    ids = at.vocabulary.encode("The dog")[len(at.vocabulary.prefix) :][:7]  # short enough for longrope's rotations
    score = await at.engine.score(ScoreQuery(token_ids=ids), None)
    assert [scored.unconditioned for scored in score.tokens] == [kind == "byte_bpe", *[False] * (len(ids) - 1)]
    for length, scored in enumerate(score.tokens):
        if scored.unconditioned:
            continue
        query = TopKQuery(token_ids=ids[:length], watch_token_ids=(ids[length],))
        watched = (await at.engine.top_k(query, None)).watched[0]
        assert scored.candidate.probability == pytest.approx(watched.probability, abs=PROBABILITY)
        assert scored.candidate.token == watched.token


@each_architecture
def test_the_comparison_can_fail(cell: MakeCell, architecture: str) -> None:
    """Each small model tells a prompt from the same without its last but one token, by far more than the tolerance."""
    at = cell(architecture, "byte_bpe")
    ids = at.vocabulary.encode(TEXTS[1])
    right, wrong = (at.plain(prompt)[-1].softmax(0) for prompt in (ids, [*ids[:-2], ids[-1]]))
    assert float(right.max()) > 0.02
    assert float((right - wrong).abs().max()) > 20 * PROBABILITY


@pytest.mark.parametrize("architecture", ["gpt2", "opt", "llama", "qwen3", "gemma2", "mixtral"])
def test_a_wrong_mask_would_show(cell: MakeCell, architecture: str) -> None:
    """Padding on the left without a mask, the classic mistake, moves probabilities by far more than the tolerance."""
    at = cell(architecture, "byte_bpe")
    ids = at.vocabulary.encode(TEXTS[1])
    right, wrong = (at.plain(prompt)[-1].softmax(0) for prompt in (ids, [0, 0, 0, *ids]))
    assert float((right - wrong).abs().max()) > 20 * PROBABILITY


async def test_another_question_about_the_same_prompt_needs_no_pass(cell: MakeCell) -> None:
    at = cell("llama", "byte_bpe")
    at.forget()
    ids = at.vocabulary.encode(TEXTS[1])
    first = await at.engine.top_k(ask(1.0, ids), None)
    assert first.cached_tokens == 0
    for temperature in TEMPERATURES:
        again = await at.engine.top_k(ask(temperature, ids), None)
        assert again.cached_tokens == again.token_count == len(ids)
        assert_answers(again, at.plain(ids)[-1], temperature)
    shorter = await at.engine.top_k(ask(1.0, ids[:-1]), None)
    assert shorter.cached_tokens == len(ids) - 2  # its last token is computed again, for its logits
