"""Who may come in, what waits, and what runs next on the one thread that owns the models. Knows neither torch nor gRPC.

A request first takes a `Slot` (or is refused), may use the helper thread with it, then waits as a `Job` in its model's
`Lane`. Whenever the worker is free it takes the oldest job and those of the same lane that fit beside it. A job that
is not done after its turn goes on later; those that go on and those not begun take turns. A slot is free again when
its request and every thread that works for it are done.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

import structlog

from inference_server.errors import ComputeFailed, DeadlineExpired, Overloaded, ServingError, Stopping
from inference_server.jobs import EXPIRED, A, Job, Lane, Outcome, Q, Queue, Slot, before, call_soon
from inference_server.progress import Progress

T = TypeVar("T")
P = ParamSpec("P")

RETRY_AFTER_S = (0.1, 60.0)  # what a refused caller may be told, at least and at most
FIRST_GUESS_S = 0.1  # of a job's time, until one is done
RECENT = 0.2  # weight of the newest job in the mean time of a job

STOPPING = "the server is stopping; try again in a moment"
FAILED = "the model failed on this prompt; the server's log says why"

logger = structlog.get_logger()


class Scheduler:
    """The gate, the queue and the worker thread that all models of a server share."""

    def __init__(self, queue_limit: int, batch_size: int, batch_tokens: int) -> None:
        self.queue_limit = queue_limit
        self.batch_size = batch_size
        self.batch_tokens = batch_tokens
        self.in_flight = 0
        self.progress = Progress()
        self._mean_s = FIRST_GUESS_S
        self._stopping = False
        self._ended = False
        self._waiting = Queue()
        self._changed = threading.Condition()  # guards all of the above
        self._on_idle: Callable[[], object] | None = None
        self._spare: list[Callable[[], bool]] = []
        self._spare_left = False  # whether spare work may have something to do
        self._helper = ThreadPoolExecutor(max_workers=1, thread_name_prefix="helper")
        # A daemon: a forward pass that outlasts the grace period must not keep the process alive.
        self._worker = threading.Thread(target=self._work, name="models", daemon=True)
        self._worker.start()

    @property
    def queue_depth(self) -> int:
        """Jobs that wait for the worker."""
        return len(self._waiting)

    @contextlib.contextmanager
    def admit(self) -> Iterator[Slot]:
        """A slot for one request.

        Raises Overloaded when all are taken, Stopping after close.
        """
        with self._changed:
            if self._stopping:
                raise Stopping(STOPPING)
            if self.in_flight >= self.queue_limit:
                raise Overloaded(
                    f"{self.in_flight} requests are in flight, as many as may be; try again later",
                    self._retry_after_s(),
                )
            self.in_flight += 1
        slot = Slot(self._leave)
        try:
            yield slot
        finally:
            slot.release()

    async def aside(
        self, slot: Slot, deadline: float | None, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Runs other slow work, such as reading a long text, on a helper thread.

        Raises DeadlineExpired at the deadline (time.monotonic seconds), and whatever the work raises.
        """
        slot.hold()
        try:
            running = self._helper.submit(work, *args, **kwargs)
        except RuntimeError as closed:
            slot.release()
            raise Stopping(STOPPING) from closed
        running.add_done_callback(lambda _: slot.release())
        return await before(deadline, asyncio.wrap_future(running))

    async def run(self, slot: Slot, lane: Lane[Q, A], query: Q, tokens: int, deadline: float | None) -> Outcome[A]:
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
        """Has the worker take a step of other work whenever nothing waits, until it returns that there was none.

        After each batch it is asked again. Whatever it raises ends only that step.
        """
        with self._changed:
            self._spare.append(work)

    async def close(self, grace_s: float) -> bool:
        """Admits nobody from now on, lets requests in flight finish for `grace_s` seconds, and ends the threads.

        What still waits then gets Stopping. Says whether all was done in time; where it is not, the worker may still
        be inside a forward pass that nothing can interrupt.
        """
        loop = asyncio.get_running_loop()
        idle = asyncio.Event()
        with self._changed:
            self._stopping = True
            self._on_idle = lambda: call_soon(loop, idle.set)
            if self.in_flight == 0:
                idle.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(idle.wait(), grace_s)
        with self._changed:
            self._on_idle = None
            self._ended = True
            left = list(self._waiting)
            self._waiting = Queue()
            self._changed.notify()
        for job in left:
            job.finish(Stopping(STOPPING))
        self._helper.shutdown(wait=False, cancel_futures=True)
        if idle.is_set():
            self._worker.join()
        return idle.is_set()

    def _retry_after_s(self) -> float:
        least, most = RETRY_AFTER_S
        return min(most, max(least, self._mean_s * (len(self._waiting) + 1)))

    def _leave(self) -> None:
        with self._changed:
            self.in_flight -= 1
            on_idle = self._on_idle if self.in_flight == 0 else None
        if on_idle:
            on_idle()

    def _abandon(self, job: Job[Any, Any]) -> None:
        """After a request stopped waiting: takes its job out of the queue, unless the worker has it or had it."""
        with self._changed:
            job.left = True
            if not self._waiting.remove(job):
                return
        job.slot.release()

    def _work(self) -> None:
        """The worker thread: batch after batch, until closed."""
        while (batch := self._next_batch()) is not None:
            if batch:
                self._spare_left = True
                started = time.monotonic()
                self._compute(batch)
                self._mean_s += RECENT * ((time.monotonic() - started) / len(batch) - self._mean_s)
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
                    late.finish(DeadlineExpired(EXPIRED))
                if batch := self._waiting.take(self.batch_size, self.batch_tokens):
                    self.progress.begin()
                    return batch
                if self._spare_left and self._spare and not self._stopping:
                    self.progress.begin()
                    return []
                self.progress.end(more=False)
                self._changed.wait()
        return None

    def _compute(self, batch: Sequence[Job[Any, Any]]) -> None:
        """Answers a batch; where it fails as a whole, each job alone, so that only the guilty ones fail."""
        started = time.monotonic()
        try:
            answers = batch[0].lane.compute([job.query for job in batch])
            answered = list(zip(batch, answers, strict=True))
        except BaseException as error:  # a panic in a native library is no Exception, and must not end the thread
            if len(batch) == 1:
                batch[0].context.run(_fail, batch[0], error)
                return
            logger.warning("batch failed, its requests go one by one", lane=batch[0].lane.name, error=repr(error)[:300])
            for job in batch:
                if job.wanted(time.monotonic()):
                    self.progress.begin()
                    self._compute([job])
                else:
                    job.finish(DeadlineExpired(EXPIRED))
            return
        spent = time.monotonic() - started
        for job, answer in answered:
            job.began = started if job.began is None else job.began
            job.computed_s += spent
            if answer is None:
                self._go_on(job)
            else:
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
