"""What waits for the worker: jobs in lanes, the slots they hold, and which of them make a batch. Starts no thread."""

import asyncio
import contextlib
import contextvars
import itertools
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")


@dataclass(frozen=True, eq=False)
class Lane(Generic[Q, A]):
    """One kind of work: `compute` answers a batch, in its order, on the worker thread."""

    name: str
    compute: Callable[[Sequence[Q]], Sequence[A]]
    batched: bool  # whether several jobs may share a call of compute


@dataclass(frozen=True, slots=True)
class Outcome(Generic[A]):
    """A job's answer, how long the job waited, and how long its batch computed."""

    answer: A
    queue_s: float
    compute_s: float


class Slot:
    """Permission to be in flight. Its holders share it; the last one to let go frees it."""

    def __init__(self, free: Callable[[], None]) -> None:
        self._free = free
        self._holders = 1
        self._lock = threading.Lock()

    def hold(self) -> None:
        """Adds a holder."""
        with self._lock:
            self._holders += 1

    def release(self) -> None:
        """Removes a holder."""
        with self._lock:
            self._holders -= 1
            free = self._holders == 0
        if free:
            self._free()


class Job(Generic[Q, A]):
    """A query on its way through a lane, and the future that its request awaits."""

    def __init__(self, lane: Lane[Q, A], query: Q, tokens: int, deadline: float | None, slot: Slot) -> None:
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


def pick(waiting: Sequence[Job[Any, Any]], batch_size: int, batch_tokens: int) -> list[Job[Any, Any]]:
    """The next batch: the oldest job, and in order of arrival those of its lane that fit beside it.

    A batch holds at most `batch_size` jobs and `batch_tokens` tokens, padding to its longest job included; the oldest
    job goes whatever its length.
    """
    first = waiting[0]
    batch, longest = [first], first.tokens
    if not first.lane.batched:
        return batch
    for job in itertools.islice(waiting, 1, None):
        if len(batch) == batch_size:
            break
        if job.lane is first.lane and max(longest, job.tokens) * (len(batch) + 1) <= batch_tokens:
            batch.append(job)
            longest = max(longest, job.tokens)
    return batch


def call_soon(loop: asyncio.AbstractEventLoop, call: Callable[..., object], *arguments: object) -> None:
    """Calls on an event loop's thread, from any; not at all where the loop is closed, for then nobody waits."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(call, *arguments)
