"""What waits, and what runs next on the one thread that owns the models. Knows neither torch nor gRPC.

A request first takes a `Permit` (or is refused), may use the helper thread with it, then waits as a `Job` in its
model's `Lane`. Whenever the worker is free it takes the job whose turn it is and the jobs of the same lane that fit
beside it. A job that is not finished after its turn goes back to the queue. Jobs that have begun and new ones take
turns; within both, addresses do, and within an address its sessions. A permit is free again once its request and every
thread working for it are done.
"""

import asyncio
import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

import structlog

from inference_server.errors import ComputeFailed, DeadlineExpired, ServingError, Stopping
from inference_server.messages import NOBODY, Client
from inference_server.scheduler.admission import STOPPING, Admission, Permit
from inference_server.scheduler.batch_window import BatchWindow
from inference_server.scheduler.queue import EXPIRED, A, Job, Lane, Outcome, Q, Queue, before, call_soon
from inference_server.scheduler.watchdog import Watchdog
from inference_server.stats import QueueStats

T = TypeVar("T")
P = ParamSpec("P")

FIRST_GUESS_S = 0.1  # of a job's time, until one is done
RECENT = 0.2  # weight of the newest job in the mean time of a job

QUIET_S = 0.02  # after an answer, for it to arrive undisturbed, and for a program to ask again
LEAST_END_S = 0.5  # for the worker to end in, however short the grace

FAILED = "the model failed on this prompt; the server's log says why"

logger = structlog.get_logger()


class Scheduler:
    """The gate, the queue and the worker thread that all models of a server share."""

    def __init__(
        self,
        queue_limit: int,
        batch_size: int,
        address_limit: int | None = None,
        session_limit: int | None = None,
        quiet_s: float = QUIET_S,
    ) -> None:
        """At most `queue_limit` requests are in flight, so many of one address and of a session there (None: all).

        Work in idle time begins `quiet_s` seconds after the last answer.
        """
        self.progress = Watchdog()
        address_limit = queue_limit if address_limit is None else address_limit
        self._gate = Admission(queue_limit, address_limit, address_limit if session_limit is None else session_limit)
        self._batch_size = batch_size
        self._mean_s = FIRST_GUESS_S
        self._expired = self._failed = 0  # so far
        self._batch_sizes: Counter[int] = Counter()
        self._stopping = False
        self._ended = False
        self._waiting = Queue()
        self._gathering = BatchWindow(batch_size)
        self._changed = threading.Condition()  # guards the queue and its end
        self._spare: list[Callable[[], bool]] = []
        self._spare_left = False  # whether spare work may have something to do
        self._quiet_s = quiet_s
        self._quiet_until = 0.0
        self._helper = ThreadPoolExecutor(max_workers=1, thread_name_prefix="helper")
        # A daemon: a forward pass that outlasts the grace period must not keep the process alive.
        self._worker = threading.Thread(target=self._work, name="models", daemon=True)
        self._worker.start()

    @property
    def in_flight(self) -> int:
        """Requests that hold a slot."""
        return self._gate.in_flight

    @property
    def gauges(self) -> QueueStats:
        """What is counted, from any thread."""
        return QueueStats(
            in_flight=self._gate.in_flight,
            limit=self._gate.limit,
            clients=self._gate.clients,
            waiting=len(self._waiting),
            refused=self._gate.refused,
            expired=self._expired,
            failed=self._failed,
            batch_sizes=dict(self._batch_sizes),
        )

    @contextlib.contextmanager
    def admit(self, client: Client = NOBODY) -> Iterator[Permit]:
        """A slot for one request of a client.

        Raises Overloaded when all are taken or the client's part is, Stopping after close.
        """
        with self._gate.admit(client, self._mean_s) as slot:
            yield slot

    async def aside(
        self, slot: Permit, deadline: float | None, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Runs other slow work, such as reading a long text, on a helper thread.

        Raises DeadlineExpired at the deadline (time.monotonic seconds), Stopping where the work has not begun by the
        end of a close's grace, and whatever the work raises.
        """
        slot.hold()
        try:
            running = self._helper.submit(work, *args, **kwargs)
        except RuntimeError as closed:
            slot.release()
            raise Stopping(STOPPING) from closed
        running.add_done_callback(lambda _: slot.release())
        try:
            return await before(deadline, asyncio.wrap_future(running))
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if running.cancelled() and caller is not None and not caller.cancelling():  # the close's doing
                raise Stopping(STOPPING) from None
            raise

    async def run(self, slot: Permit, lane: Lane[Q, A], query: Q, tokens: int, deadline: float | None) -> Outcome[A]:
        """Waits for a query's turn and its answer; `tokens` is what it adds to a batch.

        Raises DeadlineExpired at the deadline (time.monotonic seconds), Stopping at the end of a close's grace, and
        ComputeFailed where `lane.compute` fails for this query alone.
        """
        job = Job(lane, query, tokens, deadline, slot)
        slot.hold()
        with self._changed:
            if self._ended:
                slot.release()
                raise Stopping(STOPPING)
            self._waiting.add(job)
            self.progress.wait()
            self._changed.notify()
        try:
            return await before(deadline, job.future)
        finally:
            self._abandon(job)

    def when_idle(self, work: Callable[[], bool]) -> None:
        """Has the worker take a step of other work when nothing came for a while, until it returns that there was none.

        After each batch it is asked again. Whatever it raises ends only that step.
        """
        with self._changed:
            self._spare.append(work)

    async def close(self, grace_s: float) -> bool:
        """Admits nobody from now on, lets requests in flight finish for `grace_s` seconds, and ends the threads.

        What still waits then gets Stopping. Says whether all was done in time; where it is not, the worker may still
        be inside a forward pass that nothing can interrupt, be it one that nobody waits for.
        """
        loop = asyncio.get_running_loop()
        idle, end = asyncio.Event(), time.monotonic() + grace_s
        with self._changed:
            self._stopping = True
        self._gate.stop(lambda: call_soon(loop, idle.set))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(idle.wait(), grace_s)
        with self._changed:
            self._ended = True
            left = list(self._waiting)
            self._waiting = Queue()
            self._changed.notify()
        for job in left:
            job.finish(Stopping(STOPPING))
        self._helper.shutdown(wait=False, cancel_futures=True)
        if not idle.is_set():
            return False
        await asyncio.to_thread(self._worker.join, max(LEAST_END_S, end - time.monotonic()))
        return not self._worker.is_alive()

    def _abandon(self, job: Job[Any, Any]) -> None:
        """After a request stopped waiting: takes its job out of the queue, unless the worker has it or had it."""
        with self._changed:
            job.left = True
            if not self._waiting.remove(job):
                return
            self._expired += 1
        job.slot.release()

    def _work(self) -> None:
        """The worker thread: batch after batch, until closed."""
        while (batch := self._next_batch()) is not None:
            if batch:
                self._spare_left = True
                self._compute(batch)
                self._quiet_until = time.monotonic() + self._quiet_s
            else:
                self._spare_left = self._do_spare()
            with self._changed:
                self.progress.end(more=len(self._waiting) > 0)

    def _do_spare(self) -> bool:
        """One step of work that nobody waits for; says whether there may be more."""
        for work in self._spare:
            try:
                if work():
                    return True
            except BaseException as error:
                logger.error("work in idle time failed", exc_info=error)
        return False

    def _next_batch(self) -> list[Job[Any, Any]] | None:
        """Waits for work; empty when spare work may be done meanwhile, None when there will be none."""
        with self._changed:
            while not self._ended:
                now = time.monotonic()
                for late in [job for job in self._waiting if not job.wanted(now)]:
                    self._waiting.remove(late)
                    self._expired += 1
                    late.finish(DeadlineExpired(EXPIRED))
                if wait_s := self._gathering.wait_s(self._waiting.new, self._waiting.begun, now):
                    self._changed.wait(wait_s)
                    continue
                if batch := self._waiting.take(self._batch_size):
                    self.progress.begin()
                    return batch
                spare = self._spare_left and self._spare and not self._stopping
                if spare and now >= self._quiet_until:
                    self.progress.begin()
                    return []
                self.progress.end(more=False)
                self._changed.wait(self._quiet_until - now if spare else None)
        return None

    def _compute(self, batch: Sequence[Job[Any, Any]]) -> None:
        """Answers a batch; where it fails as a whole, each job alone, so that only the guilty ones fail."""
        started = time.monotonic()
        try:
            answers = batch[0].lane.compute([job.query for job in batch])
            answered = list(zip(batch, answers, strict=True))
        except BaseException as error:  # a panic in a native library is no Exception, and must not end the thread
            if len(batch) == 1:
                self._failed += 1
                batch[0].context.run(_fail, batch[0], error)
                return
            logger.warning("batch failed, its requests go one by one", lane=batch[0].lane.name, error=repr(error)[:300])
            for job in batch:
                if job.wanted(time.monotonic()):
                    self.progress.begin()
                    self._compute([job])
                else:
                    self._expired += 1
                    job.finish(DeadlineExpired(EXPIRED))
            return
        now = time.monotonic()
        spent = now - started
        self._batch_sizes[len(batch)] += 1
        with self._changed:
            self._gathering.answered(sum(each is not None for each in answers), self._waiting.new, spent, now)
        for job, answer in answered:
            job.began = started if job.began is None else job.began
            job.computed_s += spent
            job.share_s += spent / len(batch)
            if answer is None:
                self._go_on(job)
            else:
                self._mean_s += RECENT * (job.share_s - self._mean_s)
                job.finish(Outcome(answer, job.began - job.arrived, job.computed_s))

    def _go_on(self, job: Job[Any, Any]) -> None:
        """Puts a job that is not done back into the queue, if anybody still waits for it."""
        with self._changed:
            if not job.left and not self._ended:
                self._waiting.add(job)
                return
        job.finish(Stopping(STOPPING))


def _fail(job: Job[Any, Any], error: BaseException) -> None:
    """Logs why a job failed, in the words of its request's context, and tells the caller what it may know."""
    logger.error("computing failed", lane=job.lane.name, tokens=job.tokens, exc_info=error)
    job.finish(error if isinstance(error, ServingError) else ComputeFailed(FAILED))
