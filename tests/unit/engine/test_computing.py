"""What the sequences of one request cost together."""

from typing import Any

import pytest
from workers import Bench

from inference_server.engine.computing import Computing
from inference_server.errors import InvalidField
from inference_server.scheduler.scheduler import Scheduler


async def test_sequences_share_a_permit_and_their_costs_are_summed() -> None:
    scheduler = Scheduler(queue_limit=1, batch_size=4)
    bench: Any = Bench(scheduler)
    bench.free = True
    with scheduler.admit() as permit:
        computing = Computing(bench, scheduler, permit, None)

        def describe(sequence: Any, answer: Any) -> list[Any]:
            sequence.num_computed_tokens = 3
            return [answer]

        assert await computing.run(("one",), describe) == ["ONE"]  # type: ignore[arg-type]
        assert await computing.run(("two",), describe) == ["TWO"]  # type: ignore[arg-type]
        with pytest.raises(InvalidField):
            await computing.run(("refused",), describe)  # type: ignore[arg-type]
    assert computing.tokens == 6
    timings = computing.timings(0.5, 2.0)
    assert (timings.tokenize_ms, timings.total_ms) == (500.0, 2000.0)
    assert 0 < timings.model_ms < 2000
    assert await scheduler.close(1)
    assert scheduler.in_flight == 0
