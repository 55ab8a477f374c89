"""Every path through a runner gives the probabilities of the model's own forward pass over the whole prompt."""

import copy
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from inference_server.attention.batch import Segment
from inference_server.cpu.kernels.processor import LANES
from inference_server.kvcache.radix_cache import BlockTable
from inference_server.runtime.capability import build_runner
from inference_server.runtime.model_runner import ModelRunner
from models import architectures
from models.shapes import PAGED, PLAIN, VOCABULARY, build

CACHE_BYTES = 1 << 20
PROMPT = [int(token) for token in torch.randint(3, VOCABULARY, (70,), generator=torch.Generator().manual_seed(1))]
Reference = Callable[[Sequence[int]], Tensor]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(params=[(name, fixed) for name in PAGED for fixed in (False, True)], ids=str, scope="module")
def pair(request: pytest.FixtureRequest) -> tuple[str, ModelRunner, Reference]:
    """A runner, with and without steps of fixed shapes, and what its model gives plainly: (tokens, vocabulary)
    probabilities after each token."""
    name, fixed = request.param
    model = build(name)
    plain: PreTrainedModel = copy.deepcopy(model)
    held: dict[tuple[int, ...], Tensor] = {}

    def reference(token_ids: Sequence[int]) -> Tensor:
        key = tuple(token_ids)
        if key not in held:
            with torch.inference_mode():
                held[key] = plain(torch.tensor([key]), use_cache=False).logits[0].softmax(-1)
        return held[key]

    runner = build_runner(model, CACHE_BYTES, graphs=fixed)
    assert runner is not None
    assert runner.uses_graphs == fixed
    return name, runner, reference


def same(logits: Tensor, wanted: Tensor) -> bool:
    return float((logits.softmax(-1) - wanted).abs().max()) < 1e-4


def whole(runner: ModelRunner, token_ids: Sequence[int]) -> tuple[BlockTable, Tensor]:
    """The prompt computed from what is stored of all but its last token."""
    stored = runner.open(token_ids[:-1])
    return stored, runner.run([Segment(stored, token_ids[len(stored) :])])


def test_path_chosen(pair: tuple[str, ModelRunner, Reference]) -> None:
    name, runner, reference = pair
    fills = name != "qwen3" or architectures.HEAD_DIM["head_dim"] % LANES == 0
    assert runner.uses_graphs or runner.compiled == fills, "compiled where heads fill a register"
    assert reference(PROMPT).amax(-1).mean() > 5 / VOCABULARY, "a flat distribution proves nothing"


@pytest.mark.parametrize("name", PLAIN)
def test_a_model_that_does_not_fit_is_left_as_it_was(name: str) -> None:
    model = build(name)
    ids = torch.tensor([PROMPT])
    with torch.inference_mode():
        before = model(ids, use_cache=False).logits
        assert build_runner(model, CACHE_BYTES) is None
        assert torch.equal(model(ids, use_cache=False).logits, before)


def test_no_store_without_room_for_a_page() -> None:
    assert build_runner(build("llama"), 1000) is None


def test_uncompiled_where_asked_to() -> None:
    runner = build_runner(build("llama"), CACHE_BYTES, compiled=False)
    assert runner is not None
    assert (runner.compiled, runner.fused) == (False, False)


def test_cold_then_every_kind_of_hit(pair: tuple[str, ModelRunner, Reference]) -> None:
    _, runner, reference = pair
    for prompt in (PROMPT, [*PROMPT, 5], PROMPT[:40], PROMPT[:33], [*PROMPT[:37], 9, 8, 7], PROMPT):
        stored, logits = whole(runner, prompt)
        assert same(logits[0], reference(prompt)[-1])
        runner.close(stored)


def test_chunks_with_all_rows(pair: tuple[str, ModelRunner, Reference]) -> None:
    _, runner, reference = pair
    prompt = PROMPT[::-1]
    stored = runner.open(prompt)
    assert len(stored) == 0
    rows = [runner.run([Segment(stored, prompt[i : i + 23], every_row=True)]) for i in range(0, len(prompt), 23)]
    assert same(torch.cat(rows), reference(prompt))
    runner.close(stored)


def test_paged_batch(pair: tuple[str, ModelRunner, Reference]) -> None:
    """Single tokens, chunks, alternatives and cold prompts together."""
    _, runner, reference = pair
    prompts = [PROMPT[:20], PROMPT[:21], [*PROMPT[:18], 4, 4], PROMPT[5:60], [11]]
    handles = [runner.open(prompt[:-1]) for prompt in prompts]
    segments = [Segment(h, p[len(h) :]) for h, p in zip(handles, prompts, strict=True)]
    ahead, _ = whole(runner, PROMPT[:50])
    segments.insert(2, Segment(ahead, [3, 4, 5], alternatives=True, keep=True))
    logits = runner.run(segments)
    wanted = [reference(prompt)[-1] for prompt in prompts]
    wanted[2:2] = [reference([*PROMPT[:50], token])[-1] for token in (3, 4, 5)]
    assert same(logits, torch.stack(wanted))
    for stored in (*handles, ahead):
        runner.close(stored)


@pytest.mark.parametrize("length", [15, 16, 17, 48])
def test_alternatives_and_adoption(pair: tuple[str, ModelRunner, Reference], length: int) -> None:
    """Each alternative sees the prompt and itself; an adopted one continues as if it had been computed."""
    _, runner, reference = pair
    prompt, choices = PROMPT[:length], list(range(10, 30))
    stored, _ = whole(runner, prompt)
    logits = runner.run([Segment(stored, choices, alternatives=True, keep=True)])
    assert same(logits, torch.stack([reference([*prompt, token])[-1] for token in choices]))
    for token in (29, 12):
        adopted = runner.adopt(stored, token)
        assert adopted is not None
        after = runner.run([Segment(adopted, [6, 7])])
        assert same(after[0], reference([*prompt, token, 6, 7])[-1])
        runner.close(adopted)
    assert runner.adopt(stored, 96) is None
    runner.close(stored)


def test_recomputing_the_last_token_stores_nothing(pair: tuple[str, ModelRunner, Reference]) -> None:
    _, runner, reference = pair
    stored, _ = whole(runner, PROMPT)
    runner.close(stored)
    used = runner.pool.used
    again = runner.open(PROMPT[:-1])
    assert same(runner.run([Segment(again, PROMPT[-1:], alternatives=True)])[0], reference(PROMPT)[-1])
    runner.close(again)
    assert runner.pool.used == used


def test_after_eviction(pair: tuple[str, ModelRunner, Reference]) -> None:
    _, runner, reference = pair
    runner.tree.clear()
    assert runner.pool.used == 0
    stored, logits = whole(runner, PROMPT)
    assert same(logits[0], reference(PROMPT)[-1])
    runner.close(stored)
