"""A click on a token that was looked ahead of is answered from memory, with the numbers of plain transformers, and what
follows it goes on from what was adopted."""

import asyncio
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import pytest
import transformers
from calls import until

from inference_server.engine import engine
from inference_server.kvcache.logits_cache import LogitsCache
from inference_server.kvcache.radix_cache import BlockTable
from inference_server.messages import TopKAnswer
from inference_server.runtime.model_runner import ModelRunner
from inference_server.runtime.paged_backend import PagedBackend
from inference_server.runtime.prefetch import Prefetcher
from inference_server.scheduler.scheduler import Scheduler
from inference_server.settings import Settings
from inference_server.tokenizer.tokenizer import ModelTokenizer
from models import architectures, tokenizers
from models.conftest import PADDING, Cell
from models.test_paths import PROMPT, asked
from models.test_truth import UNFIT

STORED = 1 << 20
COUNT = 5
Ahead = Callable[[str], Cell]
each = pytest.mark.parametrize("architecture", [name for name in architectures.ARCHITECTURES if name not in UNFIT])


@pytest.fixture(scope="session")
def ahead(tmp_path_factory: pytest.TempPathFactory, scheduler: Scheduler) -> Ahead:
    """From an architecture to a new Cell whose engine looks ahead of COUNT tokens."""

    @cache
    def files(architecture: str) -> Path:
        folder = tmp_path_factory.mktemp(architecture)
        tokenizers.build("byte_bpe", folder)
        architectures.build(architecture, ModelTokenizer.load(folder).size + PADDING, folder)
        return folder

    def make(architecture: str, stored_bytes: int = STORED, lookahead: int = COUNT) -> Cell:
        folder = files(architecture)
        settings = Settings(device="cpu", lookahead=lookahead)
        loaded = engine.load(architecture, folder, scheduler, LogitsCache(STORED), stored_bytes, settings)
        network = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
        return Cell(architecture, "byte_bpe", loaded, ModelTokenizer.load(folder), network, scheduler)

    return make


def runner_of(at: Cell) -> ModelRunner:
    runner = at.engine.executor.model.runner
    assert runner is not None
    return runner


def prefetcher_of(at: Cell) -> Prefetcher[BlockTable]:
    assert isinstance(at.engine.executor.backend, PagedBackend)
    return at.engine.executor.backend.prefetcher


async def thought(at: Cell, ids: Sequence[int]) -> TopKAnswer:
    """An answer, and time enough to look ahead of it."""
    answer = await asked(at, ids)
    best = answer.candidates[0].token.token_id
    await until(lambda: prefetcher_of(at).behind((*ids, best)) is not None)
    return answer


@each
async def test_clicks_on_shown_bars(ahead: Ahead, architecture: str) -> None:
    at = ahead(architecture)
    ids = PROMPT[:14]  # across the end of a block
    for click in (0, 4, 2, 1):
        answer = await thought(at, ids)
        assert answer.lookahead_hit == (ids != PROMPT[:14])
        ids = (*ids, answer.candidates[click].token.token_id)
    hit = await asked(at, ids)
    assert hit.lookahead_hit
    assert hit.cached_tokens == len(ids)
    last = await asked(at, (*ids, 7, 8))
    assert not last.lookahead_hit
    assert last.cached_tokens == len(ids)  # what was adopted
    undone = await asked(at, ids[:-1])
    assert undone.cached_tokens == len(ids) - 1


@each
async def test_a_click_beside_the_shown_bars_costs_one_token(ahead: Ahead, architecture: str) -> None:
    at = ahead(architecture)
    answer = await thought(at, PROMPT[:20])
    ids = (*PROMPT[:20], answer.candidates[COUNT].token.token_id)
    beside = await asked(at, ids)
    assert not beside.lookahead_hit
    assert beside.cached_tokens == 20


async def test_off_is_off(ahead: Callable[..., Cell]) -> None:
    at = ahead("llama", lookahead=0)
    answer = await asked(at, PROMPT[:20])
    await asked(at, PROMPT[::-1])
    assert len(prefetcher_of(at)) == 0
    assert not (await asked(at, (*PROMPT[:20], answer.candidates[0].token.token_id))).lookahead_hit


async def test_nothing_is_looked_for_beyond_the_context(ahead: Ahead) -> None:
    at = ahead("gpt2")
    full = [5 + i for i in range(at.engine.facts.context_limit)]
    await asked(at, full)
    await asked(at, PROMPT[:3])
    assert all(len(plan) < len(full) for plan in prefetcher_of(at)._prompts)


@pytest.mark.parametrize("blocks", [2, 3, 4, 6])
async def test_what_is_guessed_gives_way_to_what_is_asked(ahead: Callable[..., Cell], blocks: int) -> None:
    """In a store that guesses fill, every real request is answered, from the store where it fits."""
    at = ahead("llama")
    size = runner_of(at).store.block_bytes
    at = ahead("llama", stored_bytes=blocks * size)
    for start in range(12):
        ids = PROMPT[start : start + 20]
        answer = await asked(at, ids)
        if start % 3:
            await asyncio.sleep(0.005)
        await asked(at, (*ids, answer.candidates[start % 4].token.token_id))
    longest = (*PROMPT, *PROMPT)[: 16 * blocks]
    await asked(at, longest[:60])
    assert runner_of(at).pool.used <= blocks


async def test_nothing_is_held_once_all_guesses_are_dropped(ahead: Ahead) -> None:
    at = ahead("llama")
    for start in range(5):
        await thought(at, PROMPT[start : start + 18])
    runner = runner_of(at)
    for held in prefetcher_of(at).clear():
        runner.close(held)
    assert runner.pool.used == runner.tree.blocks
    runner.tree.clear()
    assert runner.pool.used == 0
