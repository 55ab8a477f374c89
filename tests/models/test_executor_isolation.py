"""A prompt that makes a forward pass fail, among others in one ragged pass: it fails alone, and nothing stays held."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import structlog
import torch
import transformers

from inference_server.engine import engine
from inference_server.errors import ComputeFailed, DeadlineExpired
from inference_server.kvcache.logits_cache import LogitsCache
from inference_server.messages import ScoreQuery, TopKQuery
from inference_server.scheduler.scheduler import Scheduler
from inference_server.settings import Settings
from inference_server.tokenizer.tokenizer import ModelTokenizer
from models import architectures, tokenizers
from models.conftest import PADDING, Cell
from models.test_truth import assert_answers

STORED = 1 << 20
POISON = 77
FAULTS = [torch.OutOfMemoryError("not enough memory"), MemoryError(), ValueError("bad"), BaseException("a panic")]


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory, scheduler: Scheduler) -> Cell:
    """A model whose prompts share ragged passes, in steps of 7 tokens."""
    folder = tmp_path_factory.mktemp("isolation")
    tokenizers.build("byte_bpe", folder)
    words = ModelTokenizer.load(folder)
    architectures.build("llama", words.size + PADDING, folder)
    settings = Settings(device="cpu", step_tokens=7, lookahead=0)
    loaded = engine.load("isolation", folder, scheduler, LogitsCache(0), STORED, settings)
    network = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    return Cell("llama", "byte_bpe", loaded, words, network, scheduler)


@pytest.fixture(params=FAULTS, ids=lambda fault: type(fault).__name__)
def poisoned(request: pytest.FixtureRequest, at: Cell) -> Iterator[None]:
    """While it lasts, any pass that reads the poison fails."""

    def fail(layer: object, given: Any) -> None:
        if (given[0] == POISON).any():
            raise request.param

    hook = at.engine.executor.model.network.get_input_embeddings().register_forward_pre_hook(fail)
    yield
    hook.remove()


def nothing_held(at: Cell) -> None:
    runner = at.engine.executor.model.runner
    assert runner is not None
    assert runner.pool.used == runner.tree.blocks
    assert runner.pool.total_references == runner.tree.blocks


async def ask(at: Cell, ids: Sequence[int]) -> None:
    answer = await at.engine.top_k(TopKQuery(token_ids=ids, top_k=8, watch_token_ids=(3, 200)), None)
    assert_answers(answer, at.plain(ids)[-1], 1.0)


@pytest.mark.usefixtures("poisoned")
@pytest.mark.parametrize("place", [0, 3, 17])
async def test_only_the_poisonous_prompt_fails(at: Cell, place: int) -> None:
    """Whether in the first step or a later one, and whether others go on beside it."""
    draw = [5 + (place * 31 + i * 7) % 60 for i in range(60)]
    bad = [*draw[:place], POISON, *draw[place:20]]
    good = [draw[20:25], draw[25:50], draw[3:4], [*draw[:2], 9]]
    before = at.scheduler.stats.failed

    async def fails() -> None:
        with pytest.raises(ComputeFailed):
            await at.engine.top_k(TopKQuery(token_ids=bad), None)

    with structlog.testing.capture_logs() as logs:
        await at.together(lambda: [ask(at, good[0]), fails(), *(ask(at, ids) for ids in good[1:])])
    assert [entry["tokens"] for entry in logs if entry["log_level"] == "error"] == [len(bad)]
    assert at.scheduler.stats.failed == before + 1
    nothing_held(at)
    await ask(at, good[0])


@pytest.mark.usefixtures("poisoned")
async def test_a_poisonous_text_fails_to_be_scored_and_others_are_not_held_up(at: Cell) -> None:
    with pytest.raises(ComputeFailed):
        await at.engine.score(ScoreQuery(token_ids=[5] * 10 + [POISON] * 5), None)
    nothing_held(at)
    assert len((await at.engine.score(ScoreQuery(token_ids=[5] * 15), None)).tokens) == 15


async def test_a_prompt_too_late_or_left_is_computed_no_further(at: Cell) -> None:
    before = at.engine.stats.computed_tokens

    async def late() -> None:
        with pytest.raises(DeadlineExpired):
            await at.engine.top_k(TopKQuery(token_ids=[6] * 40), 0.0)

    async def left() -> None:
        task = asyncio.create_task(at.engine.top_k(TopKQuery(token_ids=[8] * 40), None))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    await at.together(lambda: [late(), left(), ask(at, [7, 7])])
    assert at.engine.stats.computed_tokens == before + 2
    nothing_held(at)
