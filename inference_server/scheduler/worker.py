"""The thread that computes all models' sequences, step by step. Knows neither torch nor event loops.

Whenever it is free it takes a step of the model whose turn it is. An unfinished sequence goes back to the queue after
each step. New sequences and those in progress alternate; within both, addresses take turns, and within an address its
sessions.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import structlog

from inference_server.errors import ComputeFailed, DeadlineExpired, ServingError, Stopping
from inference_server.interruption import Interrupted, Interruption
from inference_server.scheduler.admission import STOPPING
from inference_server.scheduler.batch_window import BatchWindow
from inference_server.scheduler.queue import Queue
from inference_server.scheduler.schedule import allow, schedule
from inference_server.scheduler.watchdog import Watchdog
from inference_server.sequence import Sequence

FIRST_GUESS_S = 0.1  # mean time of a sequence before any is done
RECENT = 0.2  # weight of the newest sequence in the mean

EXPIRED = "the deadline passed before the answer was ready; allow more time or send less"
FAILED = "the model failed on this prompt; see the server's log"

logger = structlog.get_logger()


class Worker:
    """The thread, and the queue of what it is to compute."""

    def __init__(self, batch_size: int, quiet_s: float) -> None:
        """A step takes at most `batch_size` sequences. Idle work starts `quiet_s` seconds after the last step."""
        self.watchdog = Watchdog()
        self.mean_s = FIRST_GUESS_S  # of a sequence, of late
        self.expired = self.failed = 0  # so far
        self.batch_sizes: Counter[int] = Counter()
        self._batch_size = batch_size
        self._stopping = False
        self._ended = False
        self._waiting = Queue()
        self._window = BatchWindow(batch_size)
        self._changed = threading.Condition()  # guards the queue and its end
        self._interruption = Interruption()
        self._interruptible = False  # whether the step that is computed may be interrupted
        self._idle_work: list[Callable[[], bool]] = []
        self._idle_work_left = False  # whether there may be some to do
        self._quiet_s = quiet_s
        self._quiet_until = 0.0
        # A daemon: a forward pass that outlasts the grace period must not keep the process alive.
        self._thread = threading.Thread(target=self._work, name="models", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Sequences in the queue."""
        return len(self._waiting)

    def add(self, *sequences: Sequence[Any]) -> None:
        """Queues sequences, each of which holds its permit from now on. Raises Stopping after `end`."""
        with self._changed:
            if self._ended:
                raise Stopping(STOPPING)
            for sequence in sequences:
                sequence.permit.hold()
                self._waiting.add(sequence)
            if self._interruptible and not all(sequence.background for sequence in sequences):
                self._interruption.ask()
            self.watchdog.wait()
            self._changed.notify()

    def abandon(self, sequence: Sequence[Any]) -> None:
        """Its caller has stopped waiting: removes it from the queue, unless its step has begun."""
        with self._changed:
            sequence.left = True
            if not self._waiting.remove(sequence):
                return
            self.expired += 1
        sequence.permit.release()

    def when_idle(self, work: Callable[[], bool]) -> None:
        """Does other work while nothing waits, until it returns False; asks again after each step.

        An exception ends only that piece of work.
        """
        with self._changed:
            self._idle_work.append(work)

    def answered_beside(self) -> None:
        """A sequence was answered on another thread: as after a step, there may be idle work, in a moment."""
        with self._changed:
            self._idle_work_left = True
            self._quiet_until = time.monotonic() + self._quiet_s
            self._changed.notify()

    def stop_idle_work(self) -> None:
        """No idle work is begun from now on."""
        with self._changed:
            self._stopping = True

    def end(self) -> None:
        """Ends the thread after its current step; sequences that still wait get Stopping."""
        with self._changed:
            self._ended = True
            left = list(self._waiting)
            self._waiting = Queue()
            self._changed.notify()
        for sequence in left:
            sequence.finish(Stopping(STOPPING))

    def join(self, timeout_s: float) -> bool:
        """Waits for the thread to end; says whether it did."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        """Step after step, until the end."""
        while (taken := self._next()) is not None:
            if taken:
                self._idle_work_left = True
                self._step(taken)
                self._quiet_until = time.monotonic() + self._quiet_s
            else:
                self._idle_work_left = False  # before the work: answered_beside may say meanwhile that there is more
                if self._do_idle_work():
                    self._idle_work_left = True
            with self._changed:
                self.watchdog.end(more=len(self._waiting) > 0)

    def _do_idle_work(self) -> bool:
        """One piece of idle work; says whether there may be more."""
        for work in self._idle_work:
            try:
                if work():
                    return True
            except BaseException as error:
                logger.error("idle work failed", exc_info=error)
        return False

    def _next(self) -> list[Sequence[Any]] | None:
        """Waits for sequences to run; an empty list if idle work may be done instead, None at the end."""
        with self._changed:
            while not self._ended:
                now = time.monotonic()
                for late in [sequence for sequence in self._waiting if not sequence.wanted(now)]:
                    self._waiting.remove(late)
                    self._expire(late)
                if wait_s := self._window.wait_s(self._waiting.new, self._waiting.begun, now):
                    self._changed.wait(wait_s)
                    continue
                if taken := self._waiting.take(self._batch_size):
                    self._interruptible = allow(self._interruption, taken)
                    self.watchdog.begin()
                    return taken
                idle_work = self._idle_work_left and self._idle_work and not self._stopping
                if idle_work and now >= self._quiet_until:
                    self.watchdog.begin()
                    return []
                self.watchdog.end(more=False)
                self._changed.wait(self._quiet_until - now if idle_work else None)
        return None

    def _step(self, sequences: list[Sequence[Any]]) -> None:
        """One step of sequences of one model. If it fails, each is retried alone, so that only the culprits fail."""
        started, count = time.monotonic(), len(sequences)
        left = list(sequences)

        def finish_done() -> None:
            spent_s = time.monotonic() - started
            for sequence in left:
                sequence.began = started if sequence.began is None else sequence.began
                if sequence.done:
                    spend(sequence, spent_s, count)
                    self._finish(sequence)
            left[:] = [sequence for sequence in left if not sequence.done]

        try:
            step(sequences, on_match=finish_done)
        except Interrupted:
            for sequence in left:
                sequence.interrupted = True
        except BaseException as error:  # a panic in a native library is no Exception, and must not end the thread
            self._retry(left, error)
            return
        spent_s = time.monotonic() - started
        self.batch_sizes[count] += 1
        with self._changed:
            answered = sum(each.done for each in sequences)
            self._window.answered(answered, self._waiting.new, spent_s, started + spent_s)
        finish_done()
        for sequence in left:
            spend(sequence, spent_s, count)
            self._put_back(sequence)

    def _retry(self, sequences: list[Sequence[Any]], error: BaseException) -> None:
        """Runs the sequences of a failed step one at a time; fails a single one."""
        if len(sequences) == 1:
            self.failed += 1
            sequences[0].context.run(_fail, sequences[0], error)
            return
        model = sequences[0].executor.name if sequences else None
        logger.warning("batch failed, retrying its requests individually", model=model, error=repr(error)[:300])
        for sequence in sequences:
            if sequence.done:
                self._finish(sequence)
            elif sequence.wanted(time.monotonic()):
                self.watchdog.begin()
                self._step([sequence])
            else:
                self._expire(sequence)

    def _finish(self, sequence: Sequence[Any]) -> None:
        self.mean_s += RECENT * (sequence.share_s - self.mean_s)
        sequence.finish()

    def _expire(self, sequence: Sequence[Any]) -> None:
        self.expired += 1
        sequence.finish(DeadlineExpired(EXPIRED))

    def _put_back(self, sequence: Sequence[Any]) -> None:
        """Queues an unfinished sequence again, if its caller still waits."""
        with self._changed:
            if not sequence.left and not self._ended:
                self._waiting.add(sequence)
                return
        sequence.finish(Stopping(STOPPING))


def step(sequences: list[Sequence[Any]], on_match: Callable[[], object] = lambda: None) -> None:
    """Takes sequences of one model a step further. Calls `on_match` once those answered from the cache are done."""
    executor = sequences[0].executor
    try:
        matched = executor.match(sequences)
        on_match()
        if matched:
            executor.execute(schedule(matched, executor.limits))
    finally:
        executor.release()


def spend(sequence: Sequence[Any], spent_s: float, count: int) -> None:
    """Accounts for a step that took so long and was shared by `count` sequences."""
    sequence.compute_s += spent_s
    sequence.share_s += spent_s / count


def _fail(sequence: Sequence[Any], error: BaseException) -> None:
    """Logs why a sequence failed, in its request's context, and tells the caller what it may know."""
    logger.error("computing failed", model=sequence.executor.name, tokens=len(sequence.token_ids), exc_info=error)
    sequence.finish(error if isinstance(error, ServingError) else ComputeFailed(FAILED))
