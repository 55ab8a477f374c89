"""Which waiting sequences may share a step and who goes first, as tables; and when a permit is free again."""

from collections.abc import Sequence as Items
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from workers import FakeExecutor

from inference_server.messages import Client
from inference_server.scheduler.queue import Queue
from inference_server.scheduler.schedule import candidates
from inference_server.sequence import Permit, Sequence

EXECUTORS = {
    "a": FakeExecutor("a", list),
    "b": FakeExecutor("b", list),
    "alone": FakeExecutor("alone", list, batched=False),
}


def sequences(waiting: Items[str]) -> list[Sequence[Any]]:
    """Of those executors, each with its place as its prompt; "score" is one of the first executor."""
    made = [EXECUTORS[name if name in EXECUTORS else "a"].sequence(at) for at, name in enumerate(waiting)]
    for sequence, name in zip(made, waiting, strict=True):
        sequence.every_row = name == "score"
    return made


def of(client: Client, at: int = 0) -> Sequence[Any]:
    return EXECUTORS["a"].sequence(at, Permit(lambda: None, client))


def places(taken: list[Sequence[Any]]) -> list[int]:
    return [sequence.token_ids[0] for sequence in taken]


@pytest.mark.parametrize(
    ("waiting", "size", "picked"),
    [
        ("a", 8, [0]),
        ("aaa", 8, [0, 1, 2]),
        ("aaa", 2, [0, 1]),
        ("aba", 8, [0, 2]),  # of the oldest one's model
        ("baa", 8, [0]),  # first in, first out between models
        ("baab", 2, [0, 3]),
        (["alone", "alone"], 8, [0]),
        (["score", "a", "score"], 8, [0]),
        (["a", "score", "a"], 8, [0, 2]),
    ],
)
async def test_batches(waiting: Items[str], size: int, picked: list[int]) -> None:
    assert places(candidates(sequences(waiting), size)) == picked


@given(st.lists(st.sampled_from(list(EXECUTORS)), min_size=1, max_size=30), st.integers(1, 10))
async def test_a_batch_starts_with_the_oldest_and_stays_in_its_limits(waiting: list[str], size: int) -> None:
    queue = sequences(waiting)
    batch = candidates(queue, size)
    assert batch[0] is queue[0]
    assert len({sequence.executor for sequence in batch}) == 1
    assert len(batch) <= size
    assert places(batch) == sorted(places(batch))


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
    older = [(f"b{at}", sequence) for at, sequence in enumerate(sequences(begun))]
    newer = [(f"n{at}", sequence) for at, sequence in enumerate(sequences(new))]
    for _, sequence in reversed(older):  # whoever went on first: those who came first go first
        sequence.began = 1.0
        queue.add(sequence)
    for _, sequence in newer:
        queue.add(sequence)
    names = {sequence: name for name, sequence in (*older, *newer)}
    assert len(queue) == len(names)
    assert [[names[sequence] for sequence in queue.take(size)] for _ in order] == order
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
        queue.add(of(Client(client), at))
    assert [places(queue.take(size)) for _ in order] == order
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
        queue.add(of(Client(client[0], client[1:]), at))
    assert [places(queue.take(size)) for _ in order] == order
    assert not len(queue)


@pytest.mark.parametrize(
    ("asked", "size", "order"),
    [
        ("s s s s r", 2, [[0, 4], [1, 2], [3]]),  # a request beside a stream of its session
        ("s s s s r r r", 1, [[0], [4], [1], [5], [2], [6], [3]]),  # neither waits for all of the other
        ("r r s", 1, [[0], [2], [1]]),
        ("s s t t r", 3, [[0, 2, 4], [3, 1]]),  # s led, so t does now
    ],
)
async def test_within_a_session_its_streams_and_its_other_requests_take_turns(
    asked: str, size: int, order: list[list[int]]
) -> None:
    """Streams s and t, each with several sequences at a time, and requests r of one sequence each."""
    queue, me = Queue(), Client("a", "1")
    streams = {name: Permit(client=me, stream=True) for name in "st"}
    for at, name in enumerate(asked.split()):
        queue.add(EXECUTORS["a"].sequence(at, streams.get(name) or Permit(client=me)))
    assert [places(queue.take(size)) for _ in order] == order
    assert not len(queue)


@given(st.lists(st.sampled_from(["a1", "a2", "a3", "b1", "b2", "c1"]), min_size=1, max_size=30), st.integers(1, 5))
async def test_an_address_of_many_sessions_is_served_no_more_than_one_of_few(clients: list[str], size: int) -> None:
    queue, served = Queue(), list[str]()
    for at, client in enumerate(clients):
        queue.add(of(Client(client[0], client[1:]), at))
    while batch := queue.take(size):
        served += [sequence.permit.client.address for sequence in batch]
        left = {name for name in "abc" if served.count(name) < sum(client[0] == name for client in clients)}
        counts = [served.count(name) for name in left]
        assert not counts or max(counts) - min(counts) <= 2
    assert sorted(served) == sorted(client[0] for client in clients)


async def test_who_goes_on_leads_by_turns() -> None:
    """Prompts of several steps, all of which fit beside each other: no client's goes first each time."""
    queue, leaders = Queue(), []
    for at, client in enumerate("aabc"):
        sequence = of(Client(client), at)
        sequence.began = 1.0
        queue.add(sequence)
    for _ in range(6):
        batch = queue.take(8)
        assert len(batch) == 4
        leaders.append(batch[0].permit.client.address)
        for sequence in batch:
            queue.add(sequence)
    assert leaders == [*"abcabc"]


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=30), st.integers(1, 5))
async def test_nobody_waits_for_more_than_one_of_each_other_client(clients: list[str], size: int) -> None:
    queue = Queue()
    for at, client in enumerate(clients):
        queue.add(of(Client(client), at))
    served: list[str] = []
    while batch := queue.take(size):
        served += [sequence.permit.client.address for sequence in batch]
        left = {client for client in clients if served.count(client) < clients.count(client)}
        counts = [served.count(client) for client in left]
        assert not counts or max(counts) - min(counts) <= 2
    assert sorted(served) == sorted(clients)


@given(st.lists(st.tuples(st.sampled_from(["add", "remove", "take"]), st.sampled_from("abc"), st.booleans())))
async def test_its_length_is_the_number_of_those_that_wait(steps: list[tuple[str, str, bool]]) -> None:
    queue, added = Queue(), list[Sequence[Any]]()
    for at, (what, client, begun) in enumerate(steps):
        if what == "add":
            added.append(of(Client(client), at))
            added[-1].began = 1.0 if begun else None
            queue.add(added[-1])
        elif what == "take":
            queue.take(2)
        elif added:
            queue.remove(added[at % len(added)])
        waiting = [*queue]
        assert len(queue) == len(waiting)
        assert queue.begun == sum(sequence.began is not None for sequence in waiting)


async def test_a_sequence_is_taken_out_wherever_it_waits() -> None:
    queue = Queue()
    new, begun = sequences("aa")
    begun.began = 1.0
    for sequence in (new, begun):
        queue.add(sequence)
    assert list(queue) == [new, begun]
    assert [queue.remove(sequence) for sequence in (begun, new, new)] == [True, True, False]
    assert not len(queue)


def test_a_permit_is_free_when_its_last_holder_lets_go() -> None:
    freed: list[bool] = []
    permit = Permit(lambda: freed.append(True))
    permit.hold()
    permit.hold()
    permit.release()
    permit.release()
    assert not freed
    permit.release()
    assert freed == [True]
