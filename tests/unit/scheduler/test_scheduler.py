"""What is computed when: together, in order, in turns, and what is done in spare time."""

import asyncio
import threading
from collections.abc import Iterable
from typing import Any

import pytest
import structlog
from workers import PATIENCE_S, Bench, Steps, answers, settled, until

from inference_server.errors import ComputeFailed
from inference_server.messages import Client
from inference_server.scheduler import batch_window
from inference_server.scheduler.scheduler import Scheduler
from inference_server.sequence import Sequence


async def test_what_waits_together_is_computed_together_in_order(bench: Bench) -> None:
    first = await bench.occupied()
    others = [bench.begin(query) for query in "abcde"]
    await settled()
    bench.permit(3)
    assert await answers(first, *others) == ["FIRST", "A", "B", "C", "D", "E"]
    assert bench.batches == [["first"], ["a", "b", "c", "d"], ["e"]]


async def test_models_take_turns_by_arrival(scheduler: Scheduler, bench: Bench) -> None:
    other = Bench(scheduler, "other")
    order: list[Any] = []
    bench.free = other.free = True
    first = await Bench.occupied(blocked := Bench(scheduler, "blocked"))
    tasks = [bench.begin("a1"), other.begin("b1"), bench.begin("a2"), other.begin("b2")]
    for task in tasks:
        task.add_done_callback(lambda done: order.append(done.result().outputs[0]))
    await settled()
    blocked.permit()
    await answers(first, *tasks)
    await settled()
    assert order == ["A1", "A2", "B1", "B2"]


async def test_clients_take_turns_whoever_came_first_and_with_how_much(bench: Bench) -> None:
    first = await bench.occupied(Client("flood"))
    tasks = [bench.begin(f"f{i}", client=Client("flood")) for i in range(4)]
    tasks += [bench.begin(name, client=Client(name)) for name in ("late", "later")]
    await settled()
    bench.free = True
    bench.permit()
    await asyncio.gather(first, *tasks)
    assert bench.batches == [["first"], ["f0", "late", "later", "f1"], ["f2", "f3"]]


async def test_the_outcome_says_how_long_it_waited_and_computed(bench: Bench) -> None:
    first = await bench.occupied()
    second = bench.begin("second")
    await settled()
    bench.permit(2)
    (waited, at_once) = (await second, await first)
    assert min(waited.queue_s, waited.compute_s, at_once.queue_s, at_once.compute_s) > 0


async def test_the_loop_runs_on_while_the_worker_computes(bench: Bench) -> None:
    first = await bench.occupied()
    ticks = 0
    while ticks < 100:  # would never end if a computation held the loop
        await asyncio.sleep(0)
        ticks += 1
    assert not first.done()
    bench.permit()
    await first


async def test_a_job_goes_on_until_it_is_done(scheduler: Scheduler) -> None:
    steps = Steps(scheduler)
    outcome = await steps.ask(3)
    assert outcome.outputs == ["done"]
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


async def test_spare_work_leaves_answers_a_while_of_quiet() -> None:
    """So they are on their way before the machine is busy again, and who asks again at once need not wait."""
    scheduler = Scheduler(16, 4, quiet_s=3600.0)
    bench, begun = Bench(scheduler), threading.Event()
    bench.free = True

    def spare() -> bool:
        begun.set()
        return False

    scheduler.when_idle(spare)
    for query in "ab":
        assert (await bench.ask(query)).outputs == [query.upper()]
        assert not await asyncio.to_thread(begun.wait, 0.1)
    assert await scheduler.close(PATIENCE_S)


async def test_spare_work_that_fails_hurts_nobody(scheduler: Scheduler, bench: Bench) -> None:
    failed = threading.Event()

    def spare() -> bool:
        failed.set()
        raise BaseException("a native library panicked")

    bench.free = True
    scheduler.when_idle(spare)
    with structlog.testing.capture_logs() as logs:
        assert (await bench.ask("a")).outputs == ["A"]
        assert await asyncio.to_thread(failed.wait, PATIENCE_S)
        assert (await bench.ask("b")).outputs == ["B"]
    assert "idle work failed" in [entry["event"] for entry in logs]


async def two_at_work(bench: Bench) -> list["asyncio.Task[Sequence[str]]"]:
    """Two callers' questions, which the worker computes in one step, until permitted."""
    first = await bench.occupied()
    both = [bench.begin("a1"), bench.begin("b1")]
    await settled()
    bench.permit()
    await asyncio.gather(first, bench.computing())
    return both


async def let_all_go(bench: Bench, tasks: Iterable["asyncio.Task[Sequence[str]]"]) -> None:
    """The worker computes without permits from now on; returns once the tasks are done."""
    bench.free = True
    bench.permit()
    await asyncio.gather(*tasks)


async def test_who_was_answered_together_shares_the_next_step(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    both = await two_at_work(bench)
    monkeypatch.setattr(batch_window, "MOST_S", PATIENCE_S)
    monkeypatch.setattr(batch_window, "SHARE", 1e9)
    await let_all_go(bench, both)
    early = bench.begin("a2")
    await settled()
    await asyncio.sleep(0.05)
    assert bench.batches[-1] == ["a1", "b1"], "the first back waits"
    late = bench.begin("b2")
    assert await answers(early, late) == ["A2", "B2"]
    assert bench.batches == [["first"], ["a1", "b1"], ["a2", "b2"]]


async def test_who_is_alone_in_the_end_is_answered_all_the_same(bench: Bench) -> None:
    await let_all_go(bench, await two_at_work(bench))
    assert await answers(bench.begin("a2")) == ["A2"]
    assert bench.batches[-1] == ["a2"]
