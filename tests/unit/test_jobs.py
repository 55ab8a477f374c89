"""Which waiting jobs make a batch and who goes first, as tables; and when a slot is free again."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_server.messages import Client
from inference_server.scheduler.admission import Permit
from inference_server.scheduler.queue import Job, Lane, Queue, pick

LANES = {
    "a": Lane[Any, Any]("a", lambda queries: queries, batched=True),
    "b": Lane[Any, Any]("b", lambda queries: queries, batched=True),
    "alone": Lane[Any, Any]("alone", lambda queries: queries, batched=False),
}


def jobs(waiting: Sequence[str]) -> list[Job[Any, Any]]:
    return [Job(LANES[lane], at, 1, None, Permit(lambda: None)) for at, lane in enumerate(waiting)]


@pytest.mark.parametrize(
    ("waiting", "size", "picked"),
    [
        ("a", 8, [0]),
        ("aaa", 8, [0, 1, 2]),
        ("aaa", 2, [0, 1]),
        ("aba", 8, [0, 2]),  # of the oldest one's lane
        ("baa", 8, [0]),  # first in, first out between lanes
        ("baab", 2, [0, 3]),
        (["alone", "alone"], 8, [0]),
    ],
)
async def test_batches(waiting: Sequence[str], size: int, picked: list[int]) -> None:
    assert [job.query for job in pick(jobs(waiting), size)] == picked


@given(st.lists(st.sampled_from(list(LANES)), min_size=1, max_size=30), st.integers(1, 10))
async def test_a_batch_starts_with_the_oldest_and_stays_in_its_limits(waiting: list[str], size: int) -> None:
    queue = jobs(waiting)
    batch = pick(queue, size)
    assert batch[0] is queue[0]
    assert len({job.lane for job in batch}) == 1
    assert len(batch) <= size
    assert [job.query for job in batch] == sorted(job.query for job in batch)


@pytest.mark.parametrize(
    ("begun", "new", "size", "order"),
    [
        ([], ["a", "a", "a"], 2, [["n0", "n1"], ["n2"]]),
        (["a", "a"], [], 2, [["b0", "b1"]]),
        (["a"], ["a"], 2, [["b0"], ["n0"]]),  # never in one batch
        (["a", "a"], ["a", "a", "a"], 1, [["b0"], ["n0"], ["b1"], ["n1"], ["n2"]]),  # in turns
        (["alone"], ["a", "alone", "a"], 4, [["b0"], ["n0", "n2"], ["n1"]]),
    ],
)
async def test_those_that_go_on_and_those_not_begun_take_turns(
    begun: list[str], new: list[str], size: int, order: list[list[str]]
) -> None:
    queue = Queue()
    older = [(f"b{at}", job) for at, job in enumerate(jobs(begun))]
    newer = [(f"n{at}", job) for at, job in enumerate(jobs(new))]
    for _, job in reversed(older):  # whoever went on first: those who came first go first
        job.began = 1.0
        queue.add(job)
    for _, job in newer:
        queue.add(job)
    names = {job: name for name, job in (*older, *newer)}
    assert len(queue) == len(names)
    assert [[names[job] for job in queue.take(size)] for _ in order] == order
    assert queue.take(size) == []


@pytest.mark.parametrize(
    ("clients", "size", "order"),
    [
        ("aaa", 2, [[0, 1], [2]]),
        ("aaab", 2, [[0, 3], [1, 2]]),
        ("aabc", 1, [[0], [2], [3], [1]]),
        ("aaabbc", 4, [[0, 3, 5, 1], [4, 2]]),  # a led, so b does now
        ("aabb", 1, [[0], [2], [1], [3]]),
        ("abcd", 2, [[0, 1], [2, 3]]),
        ("", 2, [[]]),
    ],
)
async def test_clients_take_turns(clients: str, size: int, order: list[list[int]]) -> None:
    queue = Queue()
    for at, client in enumerate(clients):
        queue.add(Job(LANES["a"], at, 1, None, Permit(lambda: None, Client(client))))
    assert [[job.query for job in queue.take(size)] for _ in order] == order
    assert not len(queue)


@pytest.mark.parametrize(
    ("clients", "size", "order"),
    [
        ("a1 a1 a2", 1, [[0], [2], [1]]),  # sessions of one address take turns
        ("a1 a2 a3 b1", 1, [[0], [3], [1], [2]]),  # and addresses, however many sessions one has
        ("a1 a2 a3 a4 b1 b1", 2, [[0, 4], [5, 1], [2, 3]]),  # a led, so b does now
        ("a1 a1 a2 b1 b1", 1, [[0], [3], [2], [4], [1]]),
        ("a1 a1 a2 a2 a2 b1", 3, [[0, 5, 2], [3, 1, 4]]),  # a1 led, so a2 does now
        ("a a a1 b1", 1, [[0], [3], [2], [1]]),  # who names no session is one
    ],
)
async def test_addresses_take_turns_and_the_sessions_of_each(clients: str, size: int, order: list[list[int]]) -> None:
    queue = Queue()
    for at, client in enumerate(clients.split()):
        queue.add(Job(LANES["a"], at, 1, None, Permit(lambda: None, Client(client[0], client[1:]))))
    assert [[job.query for job in queue.take(size)] for _ in order] == order
    assert not len(queue)


@given(st.lists(st.sampled_from(["a1", "a2", "a3", "b1", "b2", "c1"]), min_size=1, max_size=30), st.integers(1, 5))
async def test_an_address_of_many_sessions_is_served_no_more_than_one_of_few(clients: list[str], size: int) -> None:
    queue, served = Queue(), list[str]()
    for at, client in enumerate(clients):
        queue.add(Job(LANES["a"], at, 1, None, Permit(lambda: None, Client(client[0], client[1:]))))
    while batch := queue.take(size):
        served += [job.slot.client.address for job in batch]
        left = {name for name in "abc" if served.count(name) < sum(client[0] == name for client in clients)}
        counts = [served.count(name) for name in left]
        assert not counts or max(counts) - min(counts) <= 2
    assert sorted(served) == sorted(client[0] for client in clients)


async def test_who_goes_on_leads_by_turns() -> None:
    """Prompts of several steps, all of which fit beside each other: no client's goes first each time."""
    queue, leaders = Queue(), []
    for at, client in enumerate("aabc"):
        job = Job(LANES["a"], at, 1, None, Permit(lambda: None, Client(client)))
        job.began = 1.0
        queue.add(job)
    for _ in range(6):
        batch = queue.take(8)
        assert len(batch) == 4
        leaders.append(batch[0].slot.client.address)
        for job in batch:
            queue.add(job)
    assert leaders == [*"abcabc"]


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=30), st.integers(1, 5))
async def test_nobody_waits_for_more_than_one_of_each_other_client(clients: list[str], size: int) -> None:
    queue = Queue()
    for at, client in enumerate(clients):
        queue.add(Job(LANES["a"], at, 1, None, Permit(lambda: None, Client(client))))
    served: list[str] = []
    while batch := queue.take(size):
        served += [job.slot.client.address for job in batch]
        left = {client for client in clients if served.count(client) < clients.count(client)}
        counts = [served.count(client) for client in left]
        assert not counts or max(counts) - min(counts) <= 2
    assert sorted(served) == sorted(clients)


async def test_a_job_is_taken_out_wherever_it_waits() -> None:
    queue = Queue()
    new, begun = jobs("aa")
    begun.began = 1.0
    for job in (new, begun):
        queue.add(job)
    assert list(queue) == [new, begun]
    assert [queue.remove(job) for job in (begun, new, new)] == [True, True, False]
    assert not len(queue)


def test_a_slot_is_free_when_its_last_holder_lets_go() -> None:
    freed: list[bool] = []
    slot = Permit(lambda: freed.append(True))
    slot.hold()
    slot.hold()
    slot.release()
    slot.release()
    assert not freed
    slot.release()
    assert freed == [True]
