"""Every path to an answer gives the numbers of plain transformers: cold, after a hit, an edit, an undo, in a batch, in
steps, after eviction, after a caller left; with and without a store that the architecture fits."""

import asyncio
import contextlib
import os
import random
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import pytest
import transformers

from inference_server.cpu import dtype as dtype_module
from inference_server.engine import engine
from inference_server.kvcache.logits_cache import LogitsCache
from inference_server.messages import ScoreQuery, TopKAnswer, TopKQuery
from inference_server.scheduler.scheduler import Scheduler
from inference_server.settings import Settings
from inference_server.tokenizer.tokenizer import ModelTokenizer
from models import architectures, tokenizers
from models.architectures import ARCHITECTURES
from models.conftest import PADDING, Cell, gguf_cell
from models.test_truth import UNFIT, assert_answers, assert_true

STORED = 1 << 18
STEP = 7
ALONE = {"phi3_longrope"}  # of those, whose whole prompts are computed each time
ENDS = {"mamba", "rwkv"}  # of those, what goes on from where a prompt ended, and from nowhere else
PROMPT = tuple(random.Random(5).choices(range(5, 250), k=40))

Keep = Callable[[str], Cell]
PACKED = {"gguf llama": "llama", "gguf qwen2": "qwen2"}
each = pytest.mark.parametrize("architecture", [*ARCHITECTURES, *PACKED])


@pytest.fixture(scope="session")
def keep(tmp_path_factory: pytest.TempPathFactory, scheduler: Scheduler) -> Keep:
    """From an architecture to a Cell whose engine keeps what it computes, in steps of STEP tokens."""
    folder = tmp_path_factory.mktemp("vocabulary")
    tokenizers.build("byte_bpe", folder)
    words = ModelTokenizer.load(folder)

    @cache
    def make(architecture: str) -> Cell:
        files = tmp_path_factory.mktemp(architecture)
        if architecture in PACKED:
            name = PACKED[architecture]
            return gguf_cell(name, folder, words, files, scheduler, STORED, step_tokens=STEP, lookahead=0)
        for path in folder.iterdir():
            os.link(path, files / path.name)
        architectures.build(architecture, words.size + PADDING, files)
        settings = Settings(device="cpu", step_tokens=STEP, lookahead=0)
        loaded = engine.load(architecture, files, scheduler, LogitsCache(STORED), STORED, settings)
        network = transformers.AutoModelForCausalLM.from_pretrained(files).eval()
        return Cell(architecture, "byte_bpe", loaded, words, network, scheduler)

    return make


async def asked(at: Cell, ids: Sequence[int], temperature: float = 1.0) -> TopKAnswer:
    """The answer about a prompt, found to be true."""
    query = TopKQuery(token_ids=ids, temperature=temperature, top_k=8, watch_token_ids=(3, 200))
    answer = await at.engine.top_k(query, None)
    assert_answers(answer, at.plain(ids)[-1], temperature)
    return answer


def stores(at: Cell) -> bool:
    fits = at.engine.executor.model.runner is not None
    assert fits == (at.architecture not in UNFIT)
    return fits


@each
async def test_what_is_kept_is_not_computed_again(keep: Keep, architecture: str) -> None:
    at = keep(architecture)
    at.forget()
    stores(at)
    alone, ends = architecture in ALONE, architecture in ENDS
    assert (at.engine.executor.model.hf_cache is None) == (alone or architecture not in UNFIT)
    cases = [
        (PROMPT[:30], 0, "cold, in steps"),
        ((*PROMPT[:30], 9), 30, "one token appended"),
        (PROMPT[:30], 30, "undone: the distribution was kept"),
        ((*PROMPT[:14], 8, *PROMPT[15:30]), 0 if ends else 14, "edited in the middle"),
        ((*PROMPT[:12], 250), 0 if ends else 12, "its beginning alone, and another end"),
        (PROMPT[:20], 0 if ends else 19, "undone by many: the keys and values were kept, the distribution never was"),
        ((*PROMPT[:30], 9, 10, 11), 31, "two appended"),
    ]
    for ids, cached, what in cases:
        answer = await asked(at, ids)
        assert answer.cached_tokens == (0 if alone and "was kept" not in what else cached), what
    for temperature in (0.0, 0.5, 2.0):
        assert (await asked(at, PROMPT[:30], temperature)).cached_tokens == 30


@each
async def test_many_in_one_batch_after_kept_and_new_beginnings(keep: Keep, architecture: str) -> None:
    at = keep(architecture)
    at.forget()
    await asked(at, PROMPT[:21])
    prompts = [(*PROMPT[:21], 9), (*PROMPT[:21], 9, 9), (*PROMPT[:10], 6), PROMPT[::-1], PROMPT[3:17], (11,), (12,)]
    await at.together(lambda: [asked(at, ids) for ids in prompts])


@each
async def test_after_eviction(keep: Keep, architecture: str) -> None:
    """More prompts than fit, their distributions forgotten: whatever is left is right."""
    at = keep(architecture)
    runner = at.engine.executor.model.runner
    draw = random.Random(1)
    evicted = runner.tree.evicted_blocks if runner else 0
    for round_number in range(60):
        start = draw.choice([PROMPT[:25], PROMPT[:18], ()])
        ids = (*start, *draw.choices(range(5, 250), k=draw.randint(20, 35)))
        answer = (
            await asked(at, ids) if round_number % 6 == 0 else await at.engine.top_k(TopKQuery(token_ids=ids), None)
        )
        assert answer.cached_tokens < len(ids)
        at.engine.executor.cache = LogitsCache(STORED)
    if runner is not None:
        assert runner.stats.bytes <= STORED
        assert runner.tree.blocks == runner.pool.used
        assert runner.tree.evicted_blocks > evicted


@each
async def test_after_callers_left(keep: Keep, architecture: str) -> None:
    at = keep(architecture)
    at.forget()
    calls = [asyncio.create_task(at.engine.top_k(TopKQuery(token_ids=PROMPT[:n]), None)) for n in (40, 33, 5)]
    await asyncio.sleep(0)
    for call in calls[:2]:
        call.cancel()
    for call in calls:
        with contextlib.suppress(asyncio.CancelledError):
            await call
    await asked(at, PROMPT)
    await asked(at, PROMPT[:33])
    runner = at.engine.executor.model.runner
    assert runner is None or runner.pool.used == runner.tree.blocks  # nothing is held


@each
@pytest.mark.parametrize("kept", [0, 20, 40])
async def test_scores_in_steps(keep: Keep, architecture: str, kept: int) -> None:
    at = keep(architecture)
    at.forget()
    if kept:
        await asked(at, PROMPT[:kept])
    score = await at.engine.score(ScoreQuery(token_ids=PROMPT, top_k=2), None)
    for token, row in zip(score.tokens[1:], at.plain(PROMPT[:-1]), strict=True):
        assert_true(token.candidate, row, 1.0)
    if stores(at):
        assert (await asked(at, PROMPT)).cached_tokens >= len(PROMPT) - 1  # what a score computed serves the next
    else:
        await asked(at, PROMPT)


@pytest.mark.parametrize("architecture", ["gpt2", "llama", "mistral_sliding", "gemma2", "mixtral"])
@pytest.mark.parametrize("blocks", [1, 2, 3])
async def test_a_store_too_small_for_a_prompt_still_answers(
    tmp_path: Path, scheduler: Scheduler, keep: Keep, architecture: str, blocks: int
) -> None:
    at = keep(architecture)
    runner = at.engine.executor.model.runner
    assert runner is not None
    tokenizers.build("byte_bpe", tmp_path)
    architectures.build(architecture, at.vocabulary.size + PADDING, tmp_path)
    stored_bytes = blocks * runner.store.block_bytes
    settings = Settings(device="cpu", step_tokens=STEP, lookahead=0)
    loaded = engine.load("small store", tmp_path, scheduler, LogitsCache(0), stored_bytes, settings)
    small = Cell(architecture, "byte_bpe", loaded, at.vocabulary, at.network, scheduler)
    prompts = [PROMPT[:n] for n in (5, 15, 16, 17, 30, 33, 40)]
    for ids in prompts:
        await asked(small, ids)
    await small.together(lambda: [asked(small, ids) for ids in prompts])
    await small.together(lambda: [asked(small, ids[::-1]) for ids in prompts])
    score = await loaded.score(ScoreQuery(token_ids=PROMPT), None)
    for token, row in zip(score.tokens[1:], at.plain(PROMPT[:-1]), strict=True):
        assert_true(token.candidate, row, 1.0)
    used = loaded.executor.model.runner
    assert used is not None
    assert used.pool.used == used.tree.blocks <= blocks


@pytest.mark.parametrize("architecture", ["bloom", "mamba"])
@pytest.mark.parametrize("stored_bytes", [1_000, 20_000])
async def test_room_for_hardly_a_cache_of_a_models_own_still_answers(
    tmp_path: Path, scheduler: Scheduler, keep: Keep, architecture: str, stored_bytes: int
) -> None:
    at = keep(architecture)
    tokenizers.build("byte_bpe", tmp_path)
    architectures.build(architecture, at.vocabulary.size + PADDING, tmp_path)
    settings = Settings(device="cpu", step_tokens=STEP, lookahead=0)
    loaded = engine.load("small caches", tmp_path, scheduler, LogitsCache(0), stored_bytes, settings)
    small = Cell(architecture, "byte_bpe", loaded, at.vocabulary, at.network, scheduler)
    for ids in (PROMPT, PROMPT[:33], (*PROMPT, 9), PROMPT[::-1]):
        await asked(small, ids)
    await small.together(lambda: [asked(small, ids) for ids in (PROMPT, PROMPT[::-1], PROMPT[:5], PROMPT[5:])])
    states = loaded.executor.model.hf_cache
    assert states is not None
    assert states.used_bytes <= stored_bytes


@pytest.mark.parametrize(
    ("architecture", "dtype"),
    [
        *((name, "bfloat16") for name in ARCHITECTURES),
        *((n, d) for n in ("gpt2", "llama") for d in ("float16", "float32")),
    ],
)
async def test_large_models_hold_their_weights_as_they_are(
    tmp_path: Path, scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch, architecture: str, dtype: str
) -> None:
    """What happens to models above the size from which weights stay in 16 bits and steps are compiled."""
    monkeypatch.setattr(dtype_module, "LEAST_ELEMENTS", 0)
    tokenizers.build("byte_bpe", tmp_path)
    words = ModelTokenizer.load(tmp_path)
    architectures.build(architecture, words.size + PADDING, tmp_path)
    narrow = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=dtype)
    narrow.save_pretrained(tmp_path)
    settings = Settings(device="cpu", step_tokens=30, lookahead=0)
    loaded = engine.load(architecture, tmp_path, scheduler, LogitsCache(STORED), STORED, settings)
    network = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype="float32").eval()
    at = Cell(architecture, "byte_bpe", loaded, words, network, scheduler)
    for ids in (PROMPT, (*PROMPT, 9), (*PROMPT[:20], 9), PROMPT[:3]):
        await asked(at, ids)
    await at.together(lambda: [asked(at, (*PROMPT, 9, last)) for last in (5, 6, 7)])
