"""Who may come in, and whose request is computed no more: it is too late, or its caller has left."""

import asyncio
import threading
import time
from contextlib import ExitStack

import pytest
from workers import PATIENCE_S, Bench, answers, settled, until

from inference_server.errors import DeadlineExpired, Overloaded
from inference_server.messages import Client
from inference_server.scheduler.scheduler import Scheduler


async def test_a_full_gate_refuses_and_says_when_to_come_back(scheduler: Scheduler, bench: Bench) -> None:
    tasks = [await bench.occupied(), *(bench.begin(f"q{i}") for i in range(7))]
    await settled()
    assert scheduler.in_flight == 8
    with pytest.raises(Overloaded, match=r"at capacity \(8 requests in flight\)") as refused:
        await bench.ask("one too many")
    assert 0 < refused.value.retry_after_s <= 60
    bench.free = True
    bench.permit()
    await asyncio.gather(*tasks)
    assert scheduler.in_flight == 0
    assert (await bench.ask("again")).outputs == ["AGAIN"]


async def test_an_answered_caller_finds_its_slot_free() -> None:
    """Also at once, and with a single slot: or a polite client would be refused now and then."""
    scheduler = Scheduler(queue_limit=1, batch_size=4)
    bench = Bench(scheduler)
    bench.free = True
    for i in range(300):
        assert (await bench.ask(f"q{i}")).outputs == [f"Q{i}"]
    for i in range(100):
        with scheduler.admit() as slot:
            assert await scheduler.aside(slot, None, str.upper, "a") == "A", i
    assert await scheduler.close(grace_s=PATIENCE_S)


@pytest.mark.parametrize("limit", [1, 3, 8])
async def test_the_longer_the_queue_the_later_to_come_back(limit: int) -> None:
    """As long as a job takes, for each one in flight; and a share is free once each client had a turn."""
    scheduler = Scheduler(queue_limit=limit, batch_size=4)
    scheduler._worker.mean_s = 2.0
    bench = Bench(scheduler)
    tasks = [await bench.occupied(), *(bench.begin("x") for _ in range(limit - 1))]
    await settled()
    with pytest.raises(Overloaded) as refused:
        await bench.ask("more")
    assert refused.value.retry_after_s == 2.0 * limit
    bench.free = True
    bench.permit()
    await asyncio.gather(*tasks)
    assert await scheduler.close(grace_s=PATIENCE_S)


async def test_one_address_fills_its_part_whatever_sessions_it_names_and_others_still_come_in() -> None:
    scheduler = Scheduler(queue_limit=8, batch_size=4, address_limit=3, session_limit=2)
    scheduler._worker.mean_s = 2.0
    bench = Bench(scheduler)
    greedy = [Client("greedy", f"session {i}") for i in range(4)]
    tasks = [await bench.occupied(client=greedy[0]), *(bench.begin(f"g{i}", client=greedy[i]) for i in (1, 2))]
    tasks += [bench.begin(f"o{i}", client=Client(f"other {i}")) for i in range(3)]
    await settled()
    with pytest.raises(Overloaded, match=r"this address is at its limit \(3 requests") as refused:
        await bench.ask("one too many", client=greedy[3])
    assert refused.value.retry_after_s == 2.0 * 4  # one job of each address
    assert (scheduler.stats.clients, scheduler.stats.in_flight, scheduler.stats.refused) == (6, 6, 1)
    bench.free = True
    bench.permit()
    await asyncio.gather(*tasks)
    assert (await bench.ask("again", client=greedy[3])).outputs == ["AGAIN"]
    assert scheduler.stats.clients == 0
    assert await scheduler.close(grace_s=PATIENCE_S)


async def test_one_session_fills_its_part_and_others_of_its_address_still_come_in() -> None:
    scheduler = Scheduler(queue_limit=8, batch_size=4, address_limit=5, session_limit=2)
    scheduler._worker.mean_s = 2.0
    bench = Bench(scheduler)
    greedy = Client("school", "greedy")
    tasks = [await bench.occupied(client=greedy), bench.begin("g", client=greedy)]
    await settled()
    with pytest.raises(Overloaded, match=r"this session is at its limit \(2 requests") as refused:
        await bench.ask("one too many", client=greedy)
    assert refused.value.retry_after_s == 2.0
    tasks += [bench.begin(f"n{i}", client=Client("school")) for i in range(2)]  # without a session: none of it is full
    tasks.append(bench.begin("other", client=Client("school", "other")))
    await settled()
    assert scheduler.in_flight == 5
    with pytest.raises(Overloaded, match="this address is at its limit"):
        await bench.ask("one too many", client=Client("school"))
    bench.free = True
    bench.permit()
    await asyncio.gather(*tasks)
    assert scheduler.stats.clients == scheduler.in_flight == 0
    assert await scheduler.close(grace_s=PATIENCE_S)


def opened(scheduler: Scheduler, client: Client, stack: ExitStack) -> None:
    """A stream of a client."""
    stack.enter_context(scheduler.admit(client, stream=True))


@pytest.mark.parametrize(
    ("limits", "clients", "last", "words"),
    [
        (
            (8, 8, 8),
            [Client("a"), Client("b"), Client("c"), Client("d")],
            Client("e"),
            "this server is at its limit of 4",
        ),
        ((20, 8, 8), [Client("a", f"{i}") for i in range(4)], Client("a", "4"), "this address is at its limit of 4"),
        ((20, 16, 4), [Client("a", "x")] * 2, Client("a", "x"), "this session is at its limit of 2"),
        ((20, 3, 3), [Client("a", "x")], Client("a", "x"), "this address is at its limit of 1"),  # one at least
        ((20, 8, 2), [Client("a")] * 4, Client("a"), "this address is at its limit of 4"),  # without a session
    ],
)
async def test_streams_fill_half_of_each_limit_and_leave_the_rest_to_clicks(
    limits: tuple[int, int, int], clients: list[Client], last: Client, words: str
) -> None:
    in_all, of_address, of_session = limits
    scheduler = Scheduler(in_all, 4, of_address, of_session)
    with ExitStack() as stack:
        for client in clients:
            opened(scheduler, client, stack)
        with pytest.raises(Overloaded, match=f"{words} open streams?; wait until one ends") as refused:
            opened(scheduler, last, stack)
        assert 0 < refused.value.retry_after_s <= 60
        assert (scheduler.stats.refused, scheduler.in_flight) == (1, len(clients))
        stack.enter_context(scheduler.admit(last))  # a click of the same client
        if in_all == 20:
            opened(scheduler, Client("elsewhere"), stack)
    assert scheduler.in_flight == 0
    with ExitStack() as stack:
        for client in (*clients[1:], last):
            opened(scheduler, client, stack)  # the places of those that ended are free
    assert await scheduler.close(grace_s=PATIENCE_S)


async def test_a_stream_counts_as_a_request_of_its_client() -> None:
    scheduler = Scheduler(queue_limit=8, batch_size=4, address_limit=2, session_limit=2)
    with ExitStack() as stack:
        opened(scheduler, Client("a"), stack)
        stack.enter_context(scheduler.admit(Client("a")))
        with (
            pytest.raises(Overloaded, match=r"this address is at its limit \(2 requests"),
            scheduler.admit(Client("a")),
        ):
            pass
    assert scheduler.in_flight == 0
    assert await scheduler.close(grace_s=PATIENCE_S)


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
    while scheduler.stats.waiting:
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
    assert (await bench.ask("next")).outputs == ["NEXT"]


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
