"""Where a reader finds no room, in the store or beside it: step by step on a real model."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inference_server.kvcache.logits_cache import LogitsCache
from inference_server.runtime.executor import Executor
from inference_server.runtime.model import Model
from inference_server.sequence import Reading, Scoring
from models import architectures

VOCABULARY = 60
STEP = 10
MakeModel = Callable[[int], Model]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> MakeModel:
    """A small model with a store of so many pages."""
    folder: Path = tmp_path_factory.mktemp("reader")
    architectures.build("llama", VOCABULARY, folder)
    runner = Model.load(folder, "cpu", 1 << 20).runner
    assert runner is not None
    page_bytes = runner.store.page_bytes
    return lambda pages: Model.load(folder, "cpu", pages * page_bytes)


def reader_of(model: Model) -> Executor:
    return Executor(model, LogitsCache[Any](1 << 20), STEP, step_s=60.0)


def prompt(first: int, length: int) -> tuple[int, ...]:
    """No two of them begin alike."""
    return (first, *range(5, 4 + length))


def test_a_prompt_longer_than_the_store_is_answered_in_its_turn(model: MakeModel) -> None:
    small = model(2)
    assert small.runner is not None
    reader = reader_of(small)
    other, long = Reading(prompt(1, 30)), Reading(prompt(2, small.runner.capacity + 1))
    reader.step([other, long])
    assert (other.computed, long.logits) == (STEP, None)
    reader.step([long, other])
    assert (other.computed, long.computed) == (STEP, len(long.ids))
    assert long.logits is not None


def test_a_score_has_room_where_all_is_held_for_guesses(model: MakeModel) -> None:
    small = model(4)
    assert small.runner is not None
    reader, asked = reader_of(small), Reading(prompt(1, 40))
    while asked.logits is None:
        reader.step([asked])
    reader.expect(asked.ids)
    assert reader.look_ahead(lambda _: range(5, 15))
    assert small.runner.pool.free == 0
    scoring = Scoring(prompt(2, 40), lambda at, logits: range(at, at + len(logits)))
    for done in range(STEP, 41, STEP):
        reader.step_score(scoring)
        assert scoring.told == [*range(done)]


def test_looking_ahead_holds_nothing_where_what_it_found_is_not_kept(
    model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = model(4)
    assert small.runner is not None
    reader, asked = reader_of(small), Reading(prompt(1, STEP))
    reader.step([asked])
    reader.expect(asked.ids)

    def full(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(reader._kept, "put", full)
    with pytest.raises(MemoryError):
        reader.look_ahead(lambda _: range(5, 15))
    assert small.runner.gauges.open_prompts == 0
