"""The way of a request through the server's threads. Knows neither torch nor gRPC.

It takes a `Permit` (or is refused), may use the helper thread, then waits as a `Sequence` for the worker. Its permit is
free again once the request and every thread working for it are done.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, TypeVar

from inference_server.errors import DeadlineExpired, Stopping
from inference_server.host import openmp
from inference_server.messages import NOBODY, Client
from inference_server.scheduler.admission import STOPPING, Admission
from inference_server.scheduler.watchdog import Watchdog
from inference_server.scheduler.worker import EXPIRED, Worker
from inference_server.sequence import Permit, Sequence, call_soon
from inference_server.stats import QueueStats

T = TypeVar("T")
P = ParamSpec("P")

QUIET_S = 0.02  # between an answer and idle work: the answer goes out undisturbed, and its caller may ask again
MIN_JOIN_S = 0.5  # the worker's time to end, however short the grace period


class Scheduler:
    """Admission, the queue and the worker thread, shared by all models of a server."""

    def __init__(
        self,
        queue_limit: int,
        batch_size: int,
        address_limit: int | None = None,
        session_limit: int | None = None,
        quiet_s: float = QUIET_S,
    ) -> None:
        """At most `queue_limit` requests are in flight, so many per address and per session of one (None: all).

        Idle work starts `quiet_s` seconds after the last step.
        """
        address_limit = queue_limit if address_limit is None else address_limit
        self._admission = Admission(
            queue_limit, address_limit, address_limit if session_limit is None else session_limit
        )
        self._worker = Worker(batch_size, quiet_s)
        self._helper = ThreadPoolExecutor(max_workers=1, thread_name_prefix="helper")
        self._other_helper = ThreadPoolExecutor(max_workers=1, thread_name_prefix="apart")
        self._recalling = ThreadPoolExecutor(max_workers=1, thread_name_prefix="recall", initializer=openmp.do_without)
        self._recalling_for: set[str] = set()  # addresses

    @property
    def watchdog(self) -> Watchdog:
        """Of the worker."""
        return self._worker.watchdog

    @property
    def in_flight(self) -> int:
        """Requests that hold a permit."""
        return self._admission.in_flight

    @property
    def stats(self) -> QueueStats:
        """From any thread."""
        return QueueStats(
            in_flight=self._admission.in_flight,
            limit=self._admission.limit,
            clients=self._admission.clients,
            waiting=self._worker.waiting,
            refused=self._admission.refused,
            expired=self._worker.expired,
            failed=self._worker.failed,
            batch_sizes=dict(self._worker.batch_sizes),
        )

    @contextlib.contextmanager
    def admit(self, client: Client = NOBODY, stream: bool = False) -> Iterator[Permit]:
        """A permit for one request of a client; `stream`: whose answer comes in parts, for as long as it takes.

        Raises Overloaded if all are taken or the client's share is, Stopping after close.
        """
        with self._admission.admit(client, self._worker.mean_s, stream) as permit:
            yield permit

    async def aside(
        self, permit: Permit, deadline: float | None, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Runs other slow work, such as encoding a long text, on a helper thread.

        Raises DeadlineExpired at the deadline (time.monotonic seconds), Stopping if the work has not begun by the end
        of close's grace period, and whatever the work raises.
        """
        return await self._beside(self._helper, permit, deadline, partial(work, *args, **kwargs))

    async def apart(
        self, permit: Permit, deadline: float | None, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """As aside, on another thread: for work that takes as long as somebody else's program may."""
        return await self._beside(self._other_helper, permit, deadline, partial(work, *args, **kwargs))

    async def _beside(
        self, helper: ThreadPoolExecutor, permit: Permit, deadline: float | None, work: Callable[[], T]
    ) -> T:
        permit.hold()
        try:
            running = helper.submit(work)
        except RuntimeError as closed:
            permit.release()
            raise Stopping(STOPPING) from closed
        running.add_done_callback(lambda _: permit.release())
        try:
            return await before(deadline, asyncio.wrap_future(running))
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if running.cancelled() and caller is not None and not caller.cancelling():  # cancelled by close
                raise Stopping(STOPPING) from None
            raise

    async def run(self, *sequences: Sequence[Any]) -> None:
        """Returns once all these sequences of one request are done; they wait side by side, so they can share steps.

        Raises DeadlineExpired at their deadline, Stopping at the end of close's grace period, and ComputeFailed if the
        model fails on one of them alone.
        """
        loop = asyncio.get_running_loop()
        futures = [loop.create_future() for _ in sequences]
        for sequence, future in zip(sequences, futures, strict=True):
            sequence.future = future
        self._worker.add(*sequences)
        try:
            await before(sequences[0].deadline, futures[0] if len(futures) == 1 else asyncio.gather(*futures))
        finally:
            for sequence in sequences:
                self._worker.abandon(sequence)

    async def run_or_recall(self, sequence: Sequence[Any]) -> None:
        """As run, but a sequence whose logits are cached is answered at once, beside the step that is computed.

        One of each address at a time, so that none can fill the thread: others of it take their turn with the worker.
        """
        address = sequence.permit.client.address
        answer = None if address in self._recalling_for else sequence.executor.recall(sequence)
        if answer is None:
            await self.run(sequence)
            return
        self._recalling_for.add(address)
        try:
            await self._beside(self._recalling, sequence.permit, sequence.deadline, partial(timed, sequence, answer))
        finally:
            self._recalling_for.discard(address)
        self._worker.answered_beside()

    def when_idle(self, work: Callable[[], bool]) -> None:
        """As Worker.when_idle."""
        self._worker.when_idle(work)

    async def close(self, grace_s: float) -> bool:
        """Refuses new requests, lets those in flight finish for `grace_s` seconds, then ends the threads.

        Those still waiting get Stopping. Says whether everything was done in time; if not, the worker may still be in a
        forward pass that nothing can interrupt.
        """
        loop = asyncio.get_running_loop()
        idle, end = asyncio.Event(), time.monotonic() + grace_s
        self._worker.stop_idle_work()
        self._admission.stop(lambda: call_soon(loop, idle.set))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(idle.wait(), grace_s)
        self._worker.end()
        for helper in (self._helper, self._other_helper, self._recalling):
            helper.shutdown(wait=False, cancel_futures=True)
        if not idle.is_set():
            return False
        return await asyncio.to_thread(self._worker.join, max(MIN_JOIN_S, end - time.monotonic()))


def timed(sequence: Sequence[Any], answer: Callable[[], object]) -> None:
    """Answers a sequence, and accounts for the time it takes."""
    sequence.began = time.monotonic()
    answer()
    sequence.compute_s = sequence.share_s = time.monotonic() - sequence.began


async def before(deadline: float | None, answer: Awaitable[T]) -> T:
    """Awaits; raises DeadlineExpired at the deadline."""
    if deadline is None:
        return await answer
    try:
        async with asyncio.timeout(max(0.0, deadline - time.monotonic())) as timeout:
            return await answer
    except TimeoutError:
        if timeout.expired():
            raise DeadlineExpired(EXPIRED) from None
        raise
