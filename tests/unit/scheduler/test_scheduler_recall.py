"""What is answered from cached logits, beside the step that the worker computes."""

import asyncio
import threading
import time

import pytest
from workers import PATIENCE_S, Bench, settled, until

from inference_server.errors import DeadlineExpired, InvalidField
from inference_server.messages import Client
from inference_server.scheduler.scheduler import Scheduler


async def recalling(bench: Bench) -> None:
    """Returns once one more answer has begun beside the worker."""
    assert await asyncio.to_thread(bench.recalling.acquire, timeout=PATIENCE_S)


async def test_cached_logits_answer_while_the_worker_computes(scheduler: Scheduler, bench: Bench) -> None:
    bench.cached = {"known"}
    first = await bench.occupied()
    known = await asyncio.wait_for(bench.ask("known"), PATIENCE_S)
    assert (known.outputs, bench.batches, scheduler.in_flight) == (["KNOWN"], [["first"]], 1)
    assert known.compute_s > 0
    assert known.queue_s >= 0
    bench.permit()
    assert (await first).outputs == ["FIRST"]


async def test_other_prompts_wait_for_the_worker(bench: Bench) -> None:
    first = await bench.occupied()
    other = bench.begin("unknown")
    await settled()
    bench.permit(2)
    assert [(await each).outputs for each in (first, other)] == [["FIRST"], ["UNKNOWN"]]
    assert bench.batches == [["first"], ["unknown"]]


async def test_an_address_is_answered_so_once_at_a_time(scheduler: Scheduler, bench: Bench) -> None:
    """Its other requests take turns with the worker, and so don't keep other addresses waiting."""
    bench.cached = {"a1", "a2", "b1"}
    bench.recall_permits = threading.Semaphore(0)
    first = await bench.occupied()
    a1 = bench.begin("a1", client=Client("a", "one"))
    await recalling(bench)
    a2 = bench.begin("a2", client=Client("a", "other"))
    b1 = bench.begin("b1", client=Client("b"))
    await until(lambda: scheduler.stats.waiting == 1)
    bench.recall_permits.release(2)
    assert [(await each).outputs for each in (a1, b1)] == [["A1"], ["B1"]]
    assert not a2.done()
    bench.permit()
    assert [(await each).outputs for each in (first, a2)] == [["FIRST"], ["A2"]]
    bench.recall_permits = None
    assert (await bench.ask("a1", client=Client("a"))).outputs == ["A1"]
    assert bench.batches == [["first"]]


async def test_an_answer_that_fails_or_is_late_ends_as_others_do(scheduler: Scheduler, bench: Bench) -> None:
    bench.cached = {"refused", "late"}
    with pytest.raises(InvalidField):
        await bench.ask("refused")
    bench.recall_permits = threading.Semaphore(0)
    with pytest.raises(DeadlineExpired):
        await bench.ask("late", deadline=time.monotonic() + 0.01)
    assert scheduler.in_flight == 1, "a thread still works for it"
    bench.recall_permits.release()
    await until(lambda: scheduler.in_flight == 0)


async def test_idle_work_follows_such_an_answer(scheduler: Scheduler, bench: Bench) -> None:
    bench.cached = {"known"}
    worked = threading.Event()

    def work() -> bool:
        worked.set()
        return False

    scheduler.when_idle(work)
    await settled()
    assert not worked.is_set()
    await bench.ask("known")
    assert await asyncio.to_thread(worked.wait, PATIENCE_S)


async def test_idle_work_goes_on_for_an_answer_given_meanwhile(scheduler: Scheduler, bench: Bench) -> None:
    """Work that finds nothing more to do is asked again if there was an answer since it began."""
    bench.cached = {"known"}
    rounds: list[int] = []
    begun, go_on = threading.Event(), threading.Event()

    def work() -> bool:
        rounds.append(1)
        begun.set()
        assert go_on.wait(PATIENCE_S)
        return False

    scheduler.when_idle(work)
    await bench.ask("known")
    assert await asyncio.to_thread(begun.wait, PATIENCE_S)
    await bench.ask("known")
    go_on.set()
    await until(lambda: len(rounds) == 2)
