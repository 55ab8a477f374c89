"""What a batch that fails leaves alone, and how the scheduler ends."""

import asyncio
import contextlib
import threading
import time
from typing import Any

import pytest
import structlog
from workers import PATIENCE_S, Bench, Spare, Steps, answers, settled, until

from inference_server.errors import ComputeFailed, InvalidField, Stopping
from inference_server.scheduler.scheduler import Scheduler


@pytest.mark.parametrize("poison", ["bad", "panic"])
async def test_only_the_guilty_request_of_a_batch_fails(bench: Bench, poison: str) -> None:
    first = await bench.occupied()
    good, guilty, also_good = bench.begin("good"), bench.begin(poison), bench.begin("fine")
    await settled()
    bench.free = True
    with structlog.testing.capture_logs() as logs:
        bench.permit()
        with pytest.raises(ComputeFailed, match="see the server's log") as failed:
            await guilty
        assert await answers(first, good, also_good) == ["FIRST", "GOOD", "FINE"]
    assert "secret" not in str(failed.value)
    assert bench.batches == [["first"], ["good", poison, "fine"], ["good"], [poison], ["fine"]]
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == ["computing failed"]
    assert (await bench.ask("next")).outputs == ["NEXT"]


async def test_who_left_while_a_batch_failed_is_not_computed_again(scheduler: Scheduler, bench: Bench) -> None:
    first = await bench.occupied()
    guilty, gone, stays = bench.begin("bad"), bench.begin("gone"), bench.begin("stays")
    await settled()
    bench.permit()
    await bench.computing()
    gone.cancel()
    await settled()
    bench.free = True
    bench.permit()
    with pytest.raises(ComputeFailed):
        await guilty
    assert await answers(first, stays) == ["FIRST", "STAYS"]
    assert bench.batches == [["first"], ["bad", "gone", "stays"], ["bad"], ["stays"]]
    await until(lambda: scheduler.in_flight == 0)


async def test_an_answer_from_the_cache_does_not_wait_for_the_others_pass(bench: Bench) -> None:
    first = await bench.occupied()
    bench.cached = {"known"}
    new, known = bench.begin("new"), bench.begin("known")
    await settled()
    bench.permit()
    await bench.computing()
    assert await answers(first, known) == ["FIRST", "KNOWN"]
    assert not new.done()
    bench.permit()
    assert await answers(new) == ["NEW"]
    assert bench.batches == [["first"], ["new"]]


async def test_a_batch_that_fails_leaves_what_the_cache_answered_alone(bench: Bench) -> None:
    first = await bench.occupied()
    bench.cached = {"known"}
    guilty, known = bench.begin("bad"), bench.begin("known")
    await settled()
    bench.free = True
    bench.permit()
    with pytest.raises(ComputeFailed):
        await guilty
    assert await answers(first, known) == ["FIRST", "KNOWN"]
    assert bench.batches == [["first"], ["bad"]]


async def test_a_domain_error_reaches_its_caller_as_it_is(bench: Bench) -> None:
    bench.free = True
    with pytest.raises(InvalidField, match="refused"):
        await bench.ask("refused")


async def test_a_failure_is_logged_under_its_request(bench: Bench) -> None:
    bench.free = True
    seen: list[dict[str, Any]] = []

    def remember(logger: object, method: str, event: Any) -> Any:
        seen.append({**structlog.contextvars.get_contextvars(), "event": event["event"]})
        raise structlog.DropEvent

    before = structlog.get_config()["processors"]
    structlog.configure(processors=[remember])
    try:
        with structlog.contextvars.bound_contextvars(request_id="r1"), pytest.raises(ComputeFailed):
            await bench.ask("bad")
    finally:
        structlog.configure(processors=before)
    assert seen == [{"request_id": "r1", "event": "computing failed"}]


async def test_closing_lets_work_in_flight_finish(scheduler: Scheduler, bench: Bench) -> None:
    tasks = [await bench.occupied(), bench.begin("waits")]
    await settled()
    closing = asyncio.create_task(scheduler.close(grace_s=PATIENCE_S))
    await settled()
    with pytest.raises(Stopping, match="stopping"):
        await bench.ask("new")
    bench.free = True
    bench.permit()
    assert await answers(*tasks) == ["FIRST", "WAITS"]
    assert await closing is True
    assert scheduler._worker.join(0)


async def test_an_admitted_request_may_still_queue_during_the_grace(scheduler: Scheduler, bench: Bench) -> None:
    bench.free = True
    with scheduler.admit() as permit:
        closing = asyncio.create_task(scheduler.close(grace_s=PATIENCE_S))
        await settled()
        sequence = bench.sequence("read before", permit)
        await scheduler.run(sequence)
        assert sequence.outputs == ["READ BEFORE"]
    assert await closing is True


async def test_after_the_grace_what_waits_is_refused_and_the_thread_ends_with_its_batch(
    scheduler: Scheduler, bench: Bench
) -> None:
    running = await bench.occupied()
    waits = bench.begin("waits")
    await settled()
    assert await scheduler.close(grace_s=0.01) is False
    with pytest.raises(Stopping):
        await waits
    bench.permit()
    assert await answers(running) == ["FIRST"]
    assert await asyncio.to_thread(scheduler._worker.join, PATIENCE_S)
    assert bench.batches == [["first"]]
    assert await scheduler.close(grace_s=PATIENCE_S) is True  # again is harmless


@pytest.mark.parametrize("patience_s", [None, PATIENCE_S])
async def test_after_the_grace_who_waits_for_the_helper_is_refused(
    scheduler: Scheduler, patience_s: float | None
) -> None:
    begun, go = threading.Event(), threading.Event()

    def read() -> bool:
        begun.set()
        return go.wait(PATIENCE_S)

    async def request() -> bool:
        deadline = None if patience_s is None else time.monotonic() + patience_s
        with scheduler.admit() as slot:
            return await scheduler.aside(slot, deadline, read)

    runs, waits, leaves = (asyncio.create_task(request()) for _ in range(3))
    await until(begun.is_set)
    await settled()
    leaves.cancel()
    assert await scheduler.close(grace_s=0.01) is False
    go.set()
    told = await asyncio.gather(runs, waits, leaves, return_exceptions=True)
    assert [type(each) for each in told] == [bool, Stopping, asyncio.CancelledError]
    await until(lambda: scheduler.in_flight == 0)


async def test_after_the_end_nothing_is_taken(scheduler: Scheduler, bench: Bench) -> None:
    with contextlib.ExitStack() as stack:
        slot = stack.enter_context(scheduler.admit())
        assert await scheduler.close(grace_s=0) is False
        with pytest.raises(Stopping):
            await scheduler.run(bench.sequence("q", slot))
        with pytest.raises(Stopping):
            await scheduler.aside(slot, None, str)
        assert scheduler.in_flight == 1
    assert scheduler.in_flight == 0


def test_a_loop_that_is_gone_disturbs_nobody() -> None:
    """An answer for a closed loop is dropped, and the worker serves the next loop."""
    scheduler = Scheduler(queue_limit=8, batch_size=4)
    bench = Bench(scheduler)

    async def leave() -> None:
        task = await bench.occupied()
        task.cancel()

    asyncio.run(leave())
    bench.free = True
    bench.permit()

    async def come() -> bool:
        assert (await bench.ask("next")).outputs == ["NEXT"]
        await until(lambda: scheduler.in_flight == 0)
        return await scheduler.close(grace_s=PATIENCE_S)

    assert asyncio.run(come())


async def test_a_long_job_is_told_of_the_end_between_its_steps(scheduler: Scheduler) -> None:
    steps = Steps(scheduler)
    steps.hold = threading.Event()
    long = asyncio.create_task(steps.ask(5))
    await until(lambda: len(steps.batches) == 1)
    assert await scheduler.close(grace_s=0) is False
    steps.hold.set()
    with pytest.raises(Stopping):
        await long
    assert steps.batches == [[5]]


async def test_no_spare_work_once_stopping(scheduler: Scheduler, bench: Bench) -> None:
    scheduler.when_idle(lambda: True)  # which would go on for ever
    bench.free = True
    await bench.ask("a")
    assert await scheduler.close(grace_s=PATIENCE_S) is True
    assert scheduler._worker.join(0)


async def test_spare_work_may_end_in_the_grace_while_the_loop_goes_on(scheduler: Scheduler, bench: Bench) -> None:
    spare = Spare(scheduler)
    bench.free = True
    await bench.ask("a")
    await until(spare.begun.is_set)
    closing = asyncio.create_task(scheduler.close(grace_s=PATIENCE_S))
    await settled()
    spare.go.set()
    assert await closing is True
    assert spare.let_go


async def test_spare_work_does_not_hold_a_close_beyond_the_grace(scheduler: Scheduler, bench: Bench) -> None:
    spare = Spare(scheduler)
    bench.free = True
    await bench.ask("a")
    await until(spare.begun.is_set)
    assert await scheduler.close(grace_s=0.01) is False
    spare.go.set()


async def test_a_worker_with_nothing_to_do_ends_without_any_grace(scheduler: Scheduler) -> None:
    assert await scheduler.close(grace_s=0) is True
