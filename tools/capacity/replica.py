"""An inference server: admission, the queue, the batch window and the one worker, as `inference_server.scheduler`."""

from collections import Counter
from collections.abc import Callable, Generator
from typing import Any

import simpy

from capacity.cores import Cores
from capacity.executor import TimedExecutor
from capacity.profile import Times
from inference_server.errors import DeadlineExpired
from inference_server.messages import Client
from inference_server.scheduler.admission import Admission
from inference_server.scheduler.batch_window import BatchWindow
from inference_server.scheduler.queue import Queue
from inference_server.scheduler.schedule import schedule
from inference_server.scheduler.scheduler import QUIET_S
from inference_server.scheduler.worker import EXPIRED, FIRST_GUESS_S, RECENT, spend
from inference_server.sequence import Ids, Sequence
from inference_server.settings import Settings

Waiting = Generator[simpy.Event, Any, Any]
"""What happens over time."""


class Replica:
    """One server and its model."""

    def __init__(self, env: simpy.Environment, address: str, settings: Settings, times: Times, cores: Cores) -> None:
        self.address = address
        self.cores = cores
        self.times = times
        self.executor = TimedExecutor(times.profile, settings, times)
        address_limit = max(1, int(settings.queue_limit * settings.client_share))
        session_limit = max(1, int(address_limit * settings.client_share))
        self.admission = Admission(settings.queue_limit, address_limit, session_limit)
        self.batch_sizes: Counter[int] = Counter()
        self.busy_s = 0.0
        """How long the worker computed for callers."""
        self._env = env
        self._settings = settings
        self._loop = simpy.Resource(env, 1)
        self._recalling = simpy.Resource(env, 1)
        self._recalling_for: set[str] = set()
        self._quiet_until, self._idle_work_left = 0.0, False
        self._waiting = Queue()
        self._window = BatchWindow(settings.batch_size)
        self._changed = env.event()
        self._answered: dict[Sequence[Any], simpy.Event] = {}
        self._mean_s = FIRST_GUESS_S
        env.process(self._work())

    def ask(self, client: Client, ids: Ids, score: bool, deadline: float) -> Waiting:
        """One request, there and back: whether its answer was prefetched. Raises Overloaded and DeadlineExpired."""
        yield from self._on_loop()
        with self.admission.admit(client, self._mean_s) as permit:
            sequence: Sequence[Any] = Sequence(
                ids[:-1] if score and len(ids) > 1 else ids,
                self.executor,
                lambda sequence, rows: (),
                permit,
                deadline,
                every_row=score and len(ids) > 1,
                prefetch=not score and self._settings.lookahead > 0,
                arrived=self._env.now,
            )
            known = None if client.address in self._recalling_for else self.executor.recall(sequence)
            if known is not None:
                yield from self._beside(sequence, known)
            else:
                permit.hold()
                answered = self._answered[sequence] = self._env.event()
                self._waiting.add(sequence)
                self._wake()
                yield answered
        yield from self._on_loop(len(ids) if score else 0)
        return sequence.prefetched

    def _beside(self, sequence: Sequence[Any], answer: Callable[[], object]) -> Waiting:
        """Answers from cached logits on a thread of its own."""
        address = sequence.permit.client.address
        self._recalling_for.add(address)
        with self._recalling.request() as turn:
            yield turn
            yield self.cores.run(self.times.cached_s(1))
        self._recalling_for.discard(address)
        answer()
        self._quiet_until, self._idle_work_left = self._env.now + QUIET_S, True
        self._wake()

    def _wake(self) -> None:
        if not self._changed.triggered:
            self._changed.succeed()

    def _on_loop(self, scored: int = 0) -> Waiting:
        """Half of what the event loop does for a request, and what so many scored tokens add."""
        with self._loop.request() as turn:
            yield turn
            profile = self.times.profile
            yield self.cores.run(profile.server_ms / 2e3 + scored * profile.scored_server_ms / 1e3)

    def _work(self) -> Waiting:
        """The worker thread."""
        while True:
            now = self._env.now
            for late in [sequence for sequence in self._waiting if not sequence.wanted(now)]:
                self._waiting.remove(late)
                self._finish(late, DeadlineExpired(EXPIRED))
            if wait_s := self._window.wait_s(self._waiting.new, self._waiting.begun, now):
                yield from self._change(wait_s)
            elif taken := self._waiting.take(self._settings.batch_size):
                yield from self._step(taken)
                self._quiet_until, self._idle_work_left = self._env.now + QUIET_S, True
            elif self._idle_work_left and now >= self._quiet_until:
                self._idle_work_left = False
                if (yield from self._prefetch()):
                    self._idle_work_left = True
            else:
                yield from self._change(self._quiet_until - now if self._idle_work_left else None)

    def _change(self, seconds: float | None) -> Waiting:
        """Waits for another sequence, but not for longer."""
        if self._changed.triggered:
            self._changed = self._env.event()
        yield self._changed if seconds is None else self._changed | self._env.timeout(seconds)

    def _step(self, sequences: list[Sequence[Any]]) -> Waiting:
        started = self._env.now
        matched = self.executor.match(sequences)
        cached = [sequence for sequence in sequences if sequence.done]
        if cached:
            yield self.cores.run(self.times.cached_s(len(cached)))
            self._settle(cached, started, len(sequences))
        if matched:
            batch, seconds = self.executor.begin(schedule(matched, self.executor.limits))
            began = self._env.now
            yield self.cores.run(seconds, self.times.profile.threads)
            self.executor.execute(batch, self._env.now - began)
        self.executor.release()
        spent_s = self._env.now - started
        self.busy_s += spent_s
        self.batch_sizes[len(sequences)] += 1
        answered = sum(sequence.done for sequence in sequences)
        self._window.answered(answered, self._waiting.new, spent_s, self._env.now)
        self._settle([sequence for sequence in sequences if sequence not in cached], started, len(sequences))

    def _settle(self, sequences: list[Sequence[Any]], started: float, count: int) -> None:
        """Answers those that are done and queues the others again."""
        for sequence in sequences:
            sequence.began = started if sequence.began is None else sequence.began
            spend(sequence, self._env.now - started, count)
            if sequence.done:
                self._mean_s += RECENT * (sequence.share_s - self._mean_s)
                self._finish(sequence)
            else:
                self._waiting.add(sequence)

    def _finish(self, sequence: Sequence[Any], error: Exception | None = None) -> None:
        sequence.permit.release()
        answered = self._answered.pop(sequence)
        if error is None:
            answered.succeed()
        else:
            answered.fail(error)

    def _prefetch(self) -> Waiting:
        """One piece of idle work; says whether there was any."""
        ids = self.executor.next_to_prefetch()
        if ids is None:
            return False
        if (table := self.executor.begin_prefetch(ids)) is not None:
            yield self.cores.run(self.times.prefetch_s(), self.times.profile.threads)
            self.executor.end_prefetch(ids, table)
        return True
