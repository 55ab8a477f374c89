"""Admission, order, batches, deadlines, cancellation, failure and the end, over a worker whose every step the test
decides: `Bench` computes nothing until told, and remembers what it was asked."""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest
import structlog

from inference_server.errors import ComputeFailed, DeadlineExpired, InvalidField, Overloaded, Stopping
from inference_server.jobs import Lane, Outcome
from inference_server.scheduler import Scheduler

PATIENCE_S = 20.0


class Bench:
    """A lane for str queries, answered in capitals; those that hold `bad` fail, alone or with others."""

    def __init__(self, scheduler: Scheduler, name: str = "bench", batched: bool = True) -> None:
        self.scheduler = scheduler
        self.lane: Lane[str, str] = Lane(name, self._compute, batched)
        self.batches: list[list[str]] = []
        self.entered = threading.Semaphore(0)
        self._permits = threading.Semaphore(0)
        self.free = False  # whether it computes without permits

    def _compute(self, queries: Sequence[str]) -> list[str]:
        self.batches.append(list(queries))
        self.entered.release()
        if not self.free:
            assert self._permits.acquire(timeout=PATIENCE_S)
        if any("panic" in query for query in queries):
            raise BaseException("a native library panicked")
        if any("refused" in query for query in queries):
            raise InvalidField("text", "refused")
        if any("bad" in query for query in queries):
            raise ValueError("secret internals")
        return [query.upper() for query in queries]

    def permit(self, calls: int = 1) -> None:
        """Lets that many computations end."""
        for _ in range(calls):
            self._permits.release()

    async def computing(self) -> None:
        """Returns once one more computation has begun."""
        assert await asyncio.to_thread(self.entered.acquire, timeout=PATIENCE_S)

    async def ask(self, query: str, tokens: int = 1, deadline: float | None = None) -> Outcome[str]:
        with self.scheduler.admit() as slot:
            return await self.scheduler.run(slot, self.lane, query, tokens, deadline)

    def begin(self, query: str, tokens: int = 1, deadline: float | None = None) -> "asyncio.Task[Outcome[str]]":
        return asyncio.create_task(self.ask(query, tokens, deadline))

    async def occupied(self) -> "asyncio.Task[Outcome[str]]":
        """A request that the worker is busy with until permitted."""
        task = self.begin("first")
        await self.computing()
        return task


@pytest.fixture
async def scheduler() -> AsyncIterator[Scheduler]:
    scheduler = Scheduler(queue_limit=8, batch_size=4, batch_tokens=100)
    yield scheduler
    await scheduler.close(grace_s=PATIENCE_S)


@pytest.fixture
def bench(scheduler: Scheduler) -> Bench:
    return Bench(scheduler)


async def until(condition: Callable[[], bool]) -> None:
    """Waits for what another thread brings about."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110  the other thread knows no asyncio.Event
            await asyncio.sleep(0.001)


async def settled() -> None:
    """Lets every task run as far as it can by itself."""
    for _ in range(5):
        await asyncio.sleep(0)


async def answers(*tasks: Awaitable[Outcome[str]]) -> list[str]:
    return [(await task).answer for task in tasks]


async def test_what_waits_together_is_computed_together_in_order(bench: Bench) -> None:
    first = await bench.occupied()
    others = [bench.begin(query) for query in "abcde"]
    await settled()
    bench.permit(3)
    assert await answers(first, *others) == ["FIRST", "A", "B", "C", "D", "E"]
    assert bench.batches == [["first"], ["a", "b", "c", "d"], ["e"]]


async def test_lanes_take_turns_by_arrival(scheduler: Scheduler, bench: Bench) -> None:
    other = Bench(scheduler, "other")
    order: list[Any] = []
    bench.free = other.free = True
    first = await Bench.occupied(blocked := Bench(scheduler, "blocked"))
    tasks = [bench.begin("a1"), other.begin("b1"), bench.begin("a2"), other.begin("b2")]
    for task in tasks:
        task.add_done_callback(lambda done: order.append(done.result().answer))
    await settled()
    blocked.permit()
    await answers(first, *tasks)
    await settled()
    assert order == ["A1", "A2", "B1", "B2"]


async def test_the_outcome_says_how_long_it_waited_and_computed(bench: Bench) -> None:
    first = await bench.occupied()
    second = bench.begin("second")
    await settled()
    bench.permit(2)
    (waited, at_once) = (await second, await first)
    assert min(waited.queue_s, waited.compute_s, at_once.queue_s, at_once.compute_s) > 0


async def test_a_full_gate_refuses_and_says_when_to_come_back(scheduler: Scheduler, bench: Bench) -> None:
    tasks = [await bench.occupied(), *(bench.begin(f"q{i}") for i in range(7))]
    await settled()
    assert scheduler.in_flight == 8
    with pytest.raises(Overloaded, match="8 requests are in flight") as refused:
        await bench.ask("one too many")
    assert 0 < refused.value.retry_after_s <= 60
    bench.free = True
    bench.permit()
    await asyncio.gather(*tasks)
    assert scheduler.in_flight == 0
    assert (await bench.ask("again")).answer == "AGAIN"


async def test_an_answered_caller_finds_its_slot_free() -> None:
    """Also at once, and with a single slot: or a polite client would be refused now and then."""
    scheduler = Scheduler(queue_limit=1, batch_size=4, batch_tokens=100)
    bench = Bench(scheduler)
    bench.free = True
    for i in range(300):
        assert (await bench.ask(f"q{i}")).answer == f"Q{i}"
    for i in range(100):
        with scheduler.admit() as slot:
            assert await scheduler.aside(slot, None, str.upper, "a") == "A", i
    assert await scheduler.close(grace_s=PATIENCE_S)


async def test_the_longer_the_queue_the_later_to_come_back(scheduler: Scheduler, bench: Bench) -> None:
    scheduler._mean_s = 2.0
    hints = []
    tasks = [await bench.occupied()]
    for limit in (1, 3, 8):
        scheduler.queue_limit = limit
        while len(tasks) < limit:
            tasks.append(bench.begin("x"))
        await settled()
        with pytest.raises(Overloaded) as refused:
            await bench.ask("more")
        hints.append(refused.value.retry_after_s)
    assert hints == [2.0, 6.0, 16.0]
    bench.free = True
    bench.permit()
    await asyncio.gather(*tasks)


async def test_a_cancelled_request_is_never_computed(scheduler: Scheduler, bench: Bench) -> None:
    first = await bench.occupied()
    gone, stays = bench.begin("gone"), bench.begin("stays")
    await settled()
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert scheduler.in_flight == 2  # its slot is free before the worker is
    bench.permit(2)
    assert await answers(first, stays) == ["FIRST", "STAYS"]
    assert bench.batches == [["first"], ["stays"]]


async def test_a_request_cancelled_while_computed_keeps_its_slot_until_the_thread_is_done(
    scheduler: Scheduler, bench: Bench
) -> None:
    running = await bench.occupied()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert scheduler.in_flight == 1
    bench.permit()
    await until(lambda: scheduler.in_flight == 0)


async def test_an_expired_request_fails_at_its_deadline_and_is_never_computed(
    scheduler: Scheduler, bench: Bench
) -> None:
    first = await bench.occupied()
    with pytest.raises(DeadlineExpired, match="allow more time"):
        await bench.ask("late", deadline=time.monotonic() + 0.01)  # while the worker is still busy
    assert scheduler.in_flight == 1
    bench.permit()
    await first
    bench.free = True
    await bench.ask("next")
    assert bench.batches == [["first"], ["next"]]


async def test_the_worker_drops_what_has_expired_before_the_loop_noticed(scheduler: Scheduler, bench: Bench) -> None:
    first = await bench.occupied()
    late = bench.begin("late", deadline=time.monotonic() + 0.02)
    await settled()
    time.sleep(0.03)  # noqa: ASYNC251  the loop is held up past the deadline
    bench.permit()
    while scheduler._waiting:
        time.sleep(0.001)  # noqa: ASYNC251  and until the worker has been
    with pytest.raises(DeadlineExpired):
        await late
    await first
    assert bench.batches == [["first"]]
    assert scheduler.in_flight == 0


@pytest.mark.parametrize("deadline", [0.0, -5.0])
async def test_a_deadline_already_past_is_not_computed(bench: Bench, deadline: float) -> None:
    bench.free = True
    with pytest.raises(DeadlineExpired):
        await bench.ask("late", deadline=time.monotonic() + deadline)
    await bench.ask("next")
    assert bench.batches == [["next"]]


async def test_a_deadline_while_computed_answers_the_caller_and_keeps_the_slot(
    scheduler: Scheduler, bench: Bench
) -> None:
    with pytest.raises(DeadlineExpired):
        await bench.ask("slow", deadline=time.monotonic() + 0.05)
    assert scheduler.in_flight in (0, 1)  # 0 where the worker had not taken it yet
    bench.free = True
    bench.permit()
    await until(lambda: scheduler.in_flight == 0)
    assert (await bench.ask("next")).answer == "NEXT"


@pytest.mark.parametrize("poison", ["bad", "panic"])
async def test_only_the_guilty_request_of_a_batch_fails(bench: Bench, poison: str) -> None:
    first = await bench.occupied()
    good, guilty, also_good = bench.begin("good"), bench.begin(poison), bench.begin("fine")
    await settled()
    bench.free = True
    with structlog.testing.capture_logs() as logs:
        bench.permit()
        with pytest.raises(ComputeFailed, match="log says why") as failed:
            await guilty
        assert await answers(first, good, also_good) == ["FIRST", "GOOD", "FINE"]
    assert "secret" not in str(failed.value)
    assert bench.batches == [["first"], ["good", poison, "fine"], ["good"], [poison], ["fine"]]
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == ["computing failed"]
    assert (await bench.ask("next")).answer == "NEXT"


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


async def test_a_domain_error_reaches_its_caller_as_it_is(bench: Bench) -> None:
    bench.free = True
    with pytest.raises(InvalidField, match="refused"):
        await bench.ask("refused")


async def test_too_few_answers_are_a_failure_and_no_hang(scheduler: Scheduler) -> None:
    lane: Lane[str, str] = Lane("short", lambda queries: [], batched=True)
    with scheduler.admit() as slot, pytest.raises(ComputeFailed):
        await scheduler.run(slot, lane, "q", 1, None)


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


async def test_the_loop_runs_on_while_the_worker_computes(bench: Bench) -> None:
    first = await bench.occupied()
    ticks = 0
    while ticks < 100:  # would never end if a computation held the loop
        await asyncio.sleep(0)
        ticks += 1
    assert not first.done()
    bench.permit()
    await first


async def test_work_aside_holds_its_slot_though_its_caller_is_gone(scheduler: Scheduler) -> None:
    begun, go = threading.Event(), threading.Event()

    def read() -> str:
        begun.set()
        assert go.wait(PATIENCE_S)
        return "read"

    async def request() -> str:
        with scheduler.admit() as slot:
            return await scheduler.aside(slot, None, read)

    task = asyncio.create_task(request())
    assert await asyncio.to_thread(begun.wait, PATIENCE_S)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert scheduler.in_flight == 1
    go.set()
    await until(lambda: scheduler.in_flight == 0)


async def test_work_aside_ends_at_the_deadline_and_passes_errors_on(scheduler: Scheduler) -> None:
    go = threading.Event()
    with scheduler.admit() as slot:
        with pytest.raises(DeadlineExpired):
            await scheduler.aside(slot, time.monotonic() + 0.01, go.wait, PATIENCE_S)
        go.set()
        with pytest.raises(ZeroDivisionError):
            await scheduler.aside(slot, None, lambda: 1 // 0)
        with pytest.raises(TimeoutError):  # the work's own, not the deadline's
            await scheduler.aside(slot, time.monotonic() + PATIENCE_S, _raise_timeout)
    await until(lambda: scheduler.in_flight == 0)


def _raise_timeout() -> None:
    raise TimeoutError


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
    assert not scheduler._worker.is_alive()


async def test_an_admitted_request_may_still_queue_during_the_grace(scheduler: Scheduler, bench: Bench) -> None:
    bench.free = True
    with scheduler.admit() as slot:
        closing = asyncio.create_task(scheduler.close(grace_s=PATIENCE_S))
        await settled()
        assert (await scheduler.run(slot, bench.lane, "read before", 1, None)).answer == "READ BEFORE"
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
    await asyncio.to_thread(scheduler._worker.join, PATIENCE_S)
    assert bench.batches == [["first"]]
    assert await scheduler.close(grace_s=PATIENCE_S) is True  # again is harmless


async def test_after_the_end_nothing_is_taken(scheduler: Scheduler, bench: Bench) -> None:
    with contextlib.ExitStack() as stack:
        slot = stack.enter_context(scheduler.admit())
        assert await scheduler.close(grace_s=0) is False
        with pytest.raises(Stopping):
            await scheduler.run(slot, bench.lane, "q", 1, None)
        with pytest.raises(Stopping):
            await scheduler.aside(slot, None, str)
        assert scheduler.in_flight == 1
    assert scheduler.in_flight == 0


def test_a_loop_that_is_gone_disturbs_nobody() -> None:
    """An answer for a closed loop is dropped, and the worker serves the next loop."""
    scheduler = Scheduler(queue_limit=8, batch_size=4, batch_tokens=100)
    bench = Bench(scheduler)

    async def leave() -> None:
        task = await bench.occupied()
        task.cancel()

    asyncio.run(leave())
    bench.free = True
    bench.permit()

    async def come() -> bool:
        assert (await bench.ask("next")).answer == "NEXT"
        await until(lambda: scheduler.in_flight == 0)
        return await scheduler.close(grace_s=PATIENCE_S)

    assert asyncio.run(come())


class Steps:
    """A lane whose queries are numbers of steps; remembers the batches of each step."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.lane: Lane[list[int], str] = Lane("steps", self._compute, batched=True)
        self.batches: list[list[int]] = []
        self.hold: threading.Event | None = None

    def _compute(self, queries: Sequence[list[int]]) -> list[str | None]:
        self.batches.append([query[0] for query in queries])
        if self.hold is not None:
            assert self.hold.wait(PATIENCE_S)
        for query in queries:
            if query[0] == 13:
                raise ValueError("bad step")
            query[0] -= 1
        return [None if query[0] else "done" for query in queries]

    async def ask(self, steps: int) -> Outcome[str]:
        with self.scheduler.admit() as slot:
            return await self.scheduler.run(slot, self.lane, [steps], 1, None)


async def test_a_job_goes_on_until_it_is_done(scheduler: Scheduler) -> None:
    steps = Steps(scheduler)
    outcome = await steps.ask(3)
    assert outcome.answer == "done"
    assert steps.batches == [[3], [2], [1]]
    assert scheduler.in_flight == 0


async def test_short_requests_run_between_the_steps_of_a_long_one(scheduler: Scheduler, bench: Bench) -> None:
    steps = Steps(scheduler)
    first = await bench.occupied()
    long = asyncio.create_task(steps.ask(4))
    await settled()
    shorts = [asyncio.create_task(steps.ask(1)) for _ in range(6)]
    await settled()
    bench.permit()
    await asyncio.gather(first, long, *shorts)
    assert steps.batches == [[4, 1, 1, 1], [3], [1, 1, 1], [2], [1]]


async def test_a_long_job_that_fails_or_is_left_in_the_middle_ends(scheduler: Scheduler) -> None:
    steps = Steps(scheduler)
    with pytest.raises(ComputeFailed):
        await steps.ask(14)
    steps.hold = threading.Event()
    left = asyncio.create_task(steps.ask(5))
    await until(lambda: len(steps.batches) == 3)
    left.cancel()
    await settled()
    steps.hold.set()
    await until(lambda: scheduler.in_flight == 0)
    assert steps.batches == [[14], [13], [5]]
    with pytest.raises(asyncio.CancelledError):
        await left


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


async def test_spare_time_is_used_when_nothing_waits(scheduler: Scheduler, bench: Bench) -> None:
    """A step after each batch, another as long as there is more, and real work between two of them."""
    batches_before: list[int] = []
    left = [0]
    begun, go_on = threading.Semaphore(0), threading.Semaphore(0)

    def spare() -> bool:
        if not left[0]:
            return False
        left[0] -= 1
        batches_before.append(len(bench.batches))
        begun.release()
        assert go_on.acquire(timeout=PATIENCE_S)
        return True

    bench.free = True
    scheduler.when_idle(spare)
    await bench.ask("nothing is left to do")
    left[0] = 3
    await bench.ask("a")
    assert await asyncio.to_thread(begun.acquire, timeout=PATIENCE_S)
    task = bench.begin("b")
    await settled()
    go_on.release()
    await task
    go_on.release(2)
    await until(lambda: len(batches_before) == 3)
    assert batches_before == [2, 3, 3]


async def test_spare_work_that_fails_hurts_nobody(scheduler: Scheduler, bench: Bench) -> None:
    failed = threading.Event()

    def spare() -> bool:
        failed.set()
        raise BaseException("a native library panicked")

    bench.free = True
    scheduler.when_idle(spare)
    with structlog.testing.capture_logs() as logs:
        assert (await bench.ask("a")).answer == "A"
        assert await asyncio.to_thread(failed.wait, PATIENCE_S)
        assert (await bench.ask("b")).answer == "B"
    assert "work in idle time failed" in [entry["event"] for entry in logs]


async def test_no_spare_work_once_stopping(scheduler: Scheduler, bench: Bench) -> None:
    scheduler.when_idle(lambda: True)  # which would go on for ever
    bench.free = True
    await bench.ask("a")
    assert await scheduler.close(grace_s=PATIENCE_S) is True
    assert not scheduler._worker.is_alive()
