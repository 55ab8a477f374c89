"""Where a reader finds no room, in the store or beside it: step by step on a real model."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inference_server.interruption import Interruption
from inference_server.kvcache.logits_cache import LogitsCache
from inference_server.runtime.executor import Executor
from inference_server.runtime.model import Model
from inference_server.runtime.prefill_chunk import FEWEST
from inference_server.scheduler.schedule import allow
from inference_server.scheduler.worker import step
from inference_server.sequence import Sequence
from models import architectures

VOCABULARY = 60
STEP = 10
MakeModel = Callable[[int], Model]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> MakeModel:
    """A small model with a store of so many blocks."""
    folder: Path = tmp_path_factory.mktemp("reader")
    architectures.build("llama", VOCABULARY, folder)
    runner = Model.load(folder, "cpu", 1 << 20).runner
    assert runner is not None
    block_bytes = runner.store.block_bytes
    return lambda blocks: Model.load(folder, "cpu", blocks * block_bytes)


def reader_of(model: Model) -> Executor:
    return Executor("reader", model, LogitsCache[Any](1 << 20), STEP, step_s=60.0)


def asking(reader: Executor, ids: tuple[int, ...]) -> Sequence[Any]:
    """For the logits after a prompt."""
    return Sequence(ids, reader, lambda _, rows: [rows[0]])


def prompt(first: int, length: int) -> tuple[int, ...]:
    """No two of them begin alike."""
    return (first, *range(5, 4 + length))


def test_a_prompt_longer_than_the_store_is_answered_in_its_turn(model: MakeModel) -> None:
    small = model(2)
    assert small.runner is not None
    reader = reader_of(small)
    other, long = asking(reader, prompt(1, 30)), asking(reader, prompt(2, small.runner.capacity + 1))
    step([other, long])
    assert (other.num_computed_tokens, long.num_computed_tokens) == (STEP, 0)
    step([long, other])
    assert (other.num_computed_tokens, long.num_computed_tokens) == (STEP, len(long.token_ids))
    assert long.done
    assert not other.done


def test_the_first_step_in_the_background_that_nobody_can_end_is_as_short_as_can_be(model: MakeModel) -> None:
    reader = reader_of(model(8))
    asked, other = asking(reader, prompt(1, 40)), asking(reader, prompt(2, 40))
    asked.background = other.background = True
    step([asked])
    assert asked.num_computed_tokens == STEP, "others could have ended it"
    other.interrupted = True
    assert not allow(Interruption(), [other])
    step([other])
    assert other.num_computed_tokens == FEWEST
    step([other])
    assert other.num_computed_tokens > 2 * FEWEST


def test_a_score_has_room_where_all_is_held_for_guesses(model: MakeModel) -> None:
    small = model(4)
    assert small.runner is not None
    reader = reader_of(small)
    asked = asking(reader, prompt(1, 40))
    while not asked.done:
        step([asked])
    assert reader.prefetch(lambda _: range(5, 15))
    assert small.runner.pool.free == 0
    score = Sequence(
        prompt(2, 40),
        reader,
        lambda sequence, rows: range(len(sequence.outputs), len(sequence.outputs) + len(rows)),
        every_row=True,
    )
    for done in range(STEP, 41, STEP):
        step([score])
        assert score.outputs == [*range(done)]
    assert score.done


def test_looking_ahead_holds_nothing_where_what_it_found_is_not_kept(
    model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = model(4)
    assert small.runner is not None
    reader = reader_of(small)
    step([asking(reader, prompt(1, STEP))])

    def full(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(reader.cache, "put", full)
    with pytest.raises(MemoryError):
        reader.prefetch(lambda _: range(5, 15))
    assert small.runner.stats.open_prompts == 0
