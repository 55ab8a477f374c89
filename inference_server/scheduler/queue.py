"""What waits for the worker: jobs in lanes, in the order of turns, and which of them are next. Starts no thread."""

import asyncio
import contextlib
import contextvars
import itertools
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from inference_server.errors import DeadlineExpired
from inference_server.scheduler.admission import Permit

Q = TypeVar("Q")
T = TypeVar("T")
A = TypeVar("A")

EXPIRED = "the deadline passed before the answer was ready; allow more time or send less"


@dataclass(frozen=True, eq=False)
class Lane(Generic[Q, A]):
    """One kind of work: `compute` answers a batch, in its order, on the worker thread.

    None is no answer yet: that query goes on in a later call.
    """

    name: str
    compute: Callable[[Sequence[Q]], Sequence[A | None]]
    batched: bool  # whether several jobs may share a call of compute


@dataclass(frozen=True, slots=True)
class Outcome(Generic[A]):
    """A job's answer, how long the job waited, and how long its batch computed."""

    answer: A
    queue_s: float
    compute_s: float


class Job(Generic[Q, A]):
    """A query on its way through a lane, and the future that its request awaits."""

    def __init__(self, lane: Lane[Q, A], query: Q, tokens: int, deadline: float | None, slot: Permit) -> None:
        self.lane = lane
        self.query = query
        self.tokens = tokens
        self.deadline = deadline
        self.slot = slot
        self.arrived = time.monotonic()
        self.context = contextvars.copy_context()
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Outcome[A]] = self.loop.create_future()
        self.left = False  # nobody waits for the answer any more
        self.began: float | None = None  # when its first batch began
        self.computed_s = 0.0  # how long its batches computed
        self.share_s = 0.0  # of that, its share among the jobs of each batch

    def wanted(self, now: float) -> bool:
        """Whether computing it is still of use."""
        return not self.left and (self.deadline is None or now < self.deadline)

    def finish(self, result: Outcome[A] | Exception) -> None:
        """Lets go of the slot and hands the result to the request, from any thread.

        In this order, so that a caller who has an answer finds its slot free.
        """
        self.slot.release()
        call_soon(self.loop, self._settle, result)

    def _settle(self, result: Outcome[A] | Exception) -> None:
        if self.future.done():
            return
        if isinstance(result, Exception):
            self.future.set_exception(result)
        else:
            self.future.set_result(result)


class TurnQueue:
    """Jobs of one class. Addresses take turns, and of each its sessions; of one session, who came first goes first."""

    def __init__(self) -> None:
        self._addresses: OrderedDict[str, OrderedDict[str, deque[Job[Any, Any]]]] = OrderedDict()

    def __len__(self) -> int:
        return sum(len(own) for sessions in self._addresses.values() for own in sessions.values())

    def __iter__(self) -> Iterator[Job[Any, Any]]:
        """The jobs in the order of their turns: one of each address, then another of each, and so on."""
        return in_turn(in_turn(sessions.values()) for sessions in self._addresses.values())

    def add(self, job: Job[Any, Any]) -> None:
        """Adds a job behind those of its session that arrived before it."""
        address, session = job.slot.client
        own = self._addresses.setdefault(address, OrderedDict()).setdefault(session, deque())
        own.insert(next((at for at, other in enumerate(own) if other.arrived > job.arrived), len(own)), job)

    def remove(self, job: Job[Any, Any]) -> bool:
        """Takes a job out; says whether it was there."""
        address, session = job.slot.client
        own = self._addresses.get(address, OrderedDict()).get(session, deque())
        if job not in own:
            return False
        own.remove(job)
        return True

    def take(self, batch_size: int) -> list[Job[Any, Any]]:
        """The next batch, out of the line. Its addresses go behind the others, and so do its sessions in each.

        They keep that place until the next batch, though nothing of theirs waits: what goes on comes back by then.
        """
        self._forget_the_empty()
        batch = pick(list(self), batch_size)
        for job in batch:
            self.remove(job)
        clients = [job.slot.client for job in batch]
        go_behind(self._addresses, [address for address, _ in clients])
        for address in {address for address, _ in clients}:
            go_behind(self._addresses[address], [client.session for client in clients if client.address == address])
        return batch

    def _forget_the_empty(self) -> None:
        for address, sessions in list(self._addresses.items()):
            for session in [session for session, own in sessions.items() if not own]:
                del sessions[session]
            if not sessions:
                del self._addresses[address]


def in_turn(lines: Iterable[Iterable[T]]) -> Iterator[T]:
    """One of each line, then another of each, and so on."""
    rounds = itertools.zip_longest(*lines)
    return (each for one_of_each in rounds for each in one_of_each if each is not None)


def go_behind(order: OrderedDict[str, Any], served: Sequence[str]) -> None:
    """Puts those that were served behind the others; where all were, only the first, so that another leads next."""
    names = list(dict.fromkeys(served))
    for name in names if len(names) < len(order) else names[:1]:
        order.move_to_end(name)


class Queue:
    """The jobs that wait: those not begun, and those that go on, each in a line of its own."""

    def __init__(self) -> None:
        self._new = TurnQueue()
        self._begun = TurnQueue()
        self._turn = self._begun  # who goes first when both wait: they take turns, so that neither waits for long

    def __len__(self) -> int:
        return len(self._new) + len(self._begun)

    def __iter__(self) -> Iterator[Job[Any, Any]]:
        return itertools.chain(self._new, self._begun)

    @property
    def new(self) -> int:
        """Jobs not begun."""
        return len(self._new)

    @property
    def begun(self) -> int:
        """Jobs that go on."""
        return len(self._begun)

    def add(self, job: Job[Any, Any]) -> None:
        """Adds a job to those of its class."""
        (self._new if job.began is None else self._begun).add(job)

    def remove(self, job: Job[Any, Any]) -> bool:
        """Takes a job out; says whether it was there."""
        return self._new.remove(job) or self._begun.remove(job)

    def take(self, batch_size: int) -> list[Job[Any, Any]]:
        """The next batch, out of the queue; empty where nothing waits."""
        line, other = (self._new, self._begun) if self._turn is self._new else (self._begun, self._new)
        line = line if len(line) else other
        if not len(line):
            return []
        self._turn = self._begun if line is self._new else self._new
        return line.take(batch_size)


def pick(waiting: Sequence[Job[Any, Any]], batch_size: int) -> list[Job[Any, Any]]:
    """The next batch: the first job, and where its lane is batched those of its lane in order, up to `batch_size`."""
    first = waiting[0]
    if not first.lane.batched:
        return [first]
    return [job for job in waiting if job.lane is first.lane][:batch_size]


def call_soon(loop: asyncio.AbstractEventLoop, call: Callable[..., object], *arguments: object) -> None:
    """Calls on an event loop's thread, from any; not at all where the loop is closed, for then nobody waits."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(call, *arguments)


async def before(deadline: float | None, answer: Awaitable[T]) -> T:
    """Awaits, and gives up with DeadlineExpired at the deadline."""
    if deadline is None:
        return await answer
    try:
        async with asyncio.timeout(max(0.0, deadline - time.monotonic())) as patience:
            return await answer
    except TimeoutError:
        if patience.expired():
            raise DeadlineExpired(EXPIRED) from None
        raise
