"""The timed executor beside the real one: what is cached, shared, evicted and prefetched is the same, step by step."""

import json
import random
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from capacity.executor import BLOCK, TimedExecutor
from capacity.load import BARS, Load, extended, visit
from capacity.profile import Times
from capacity_profiles import PLAIN

from inference_server.host.memory import Shares
from inference_server.kvcache.logits_cache import LogitsCache
from inference_server.models.bundled import FOLDER
from inference_server.runtime.executor import Executor
from inference_server.runtime.model import Model
from inference_server.scheduler.schedule import schedule
from inference_server.scheduler.worker import step
from inference_server.sequence import Ids, Sequence
from inference_server.settings import Settings

STEP_TOKENS = 24  # several chunks each
BLOCKS, KEPT = 24, 40  # few enough to be full: of keys and values, and of logits
LOAD = Load(clicks=8, shared=0.6, openings=2, scored=0.0)


@dataclass
class Found:
    """Of one prompt: from the cache without a pass, prefetched, and how many of its tokens were computed."""

    cached: bool
    prefetched: bool
    computed: int


@pytest.fixture(scope="module")
def executors() -> tuple[Executor, TimedExecutor]:
    config = json.loads((FOLDER / "config.json").read_text())
    numbers = 2 * config["num_hidden_layers"] * config["num_key_value_heads"] * config["head_dim"]
    block_bytes, row_bytes = numbers * 4 * BLOCK, 4 * config["vocab_size"]
    model = Model.load(FOLDER, "cpu", BLOCKS * block_bytes)
    assert model.runner is not None
    assert model.runner.capacity == BLOCKS * BLOCK
    real = Executor("real", model, LogitsCache[Any](KEPT * row_bytes), STEP_TOKENS, step_s=1e6)
    profile = msgspec.structs.replace(PLAIN, token_bytes=block_bytes // BLOCK, logits_bytes=row_bytes)
    settings = Settings(step_tokens=STEP_TOKENS, step_ms=1e9)
    cache = Shares(KEPT * row_bytes, 0, BLOCKS * block_bytes)
    return real, TimedExecutor(profile, settings, Times(profile, random.Random(1)), cache)


def test_both_find_the_same_in_their_caches(executors: tuple[Executor, TimedExecutor]) -> None:
    real, timed = executors
    chance = random.Random(9)
    going: list[tuple[Ids, list[Any]]] = [((), list(visit(LOAD, 3, number).actions)) for number in range(12)]
    outcomes = list[tuple[Found, Found]]()
    while going := [(ids, left) for ids, left in going if left]:
        at = chance.randrange(len(going))
        ids, left = going[at]
        ids = within(extended(ids, left.pop(0)))
        going[at] = ids, left
        outcomes.append((by_real(real, ids), by_timed(timed, ids)))
        if chance.random() < 0.7:  # there is time for it
            real.prefetch(lambda logits: range(BARS))
            if (newest := timed.next_to_prefetch()) and (table := timed.begin_prefetch(newest)) is not None:
                timed.end_prefetch(newest, table)
    assert [told for _, told in outcomes] == [found for found, _ in outcomes]
    kinds = {(found.cached, found.prefetched) for found, _ in outcomes}
    assert {(True, True), (False, False)} <= kinds
    runner: Any = real.model.runner
    assert timed.tree.evicted_blocks == runner.tree.evicted_blocks > 0
    assert timed.logits.evictions == real.cache.evictions > 0


def within(ids: Ids) -> Ids:
    """Ids that the bundled model knows."""
    return tuple(each % 2_000 for each in ids)


def by_real(executor: Executor, ids: Ids) -> Found:
    sequence: Sequence[Any] = Sequence(ids, executor, lambda _, rows: [None])
    cached = True
    while not sequence.done:
        before = sequence.num_computed_tokens
        step([sequence])
        cached &= sequence.num_computed_tokens == before
    return Found(cached, sequence.prefetched, sequence.num_computed_tokens)


def by_timed(executor: TimedExecutor, ids: Ids) -> Found:
    sequence: Sequence[Any] = Sequence(ids, executor, lambda _, rows: [None])
    cached = True
    while not sequence.done:
        if matched := executor.match([sequence]):
            cached = False
            batch, _ = executor.begin(schedule(matched, executor.limits))
            executor.execute(batch)
        executor.release()
    return Found(cached, sequence.prefetched, sequence.num_computed_tokens)
