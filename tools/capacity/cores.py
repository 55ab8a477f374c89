"""A machine's cores, shared equally by what computes on them."""

import heapq
import itertools
from typing import Any

import simpy


class Cores:
    """Threads run at full speed while there are at most `count`; more of them are slowed down alike."""

    def __init__(self, env: simpy.Environment, count: float) -> None:
        self._env = env
        self._count = count
        self._clock = 0.0  # seconds of work that each thread running since the start would have done
        self._at = env.now
        self._threads = 0
        self._jobs: list[tuple[float, int, int, simpy.Event]] = []  # end by the clock, number, threads, event
        self._numbers = itertools.count()
        self._alarm = 0  # the number of the latest; earlier ones are void
        self.busy_s = 0.0
        """Core seconds used so far."""

    def run(self, seconds: float, threads: int = 1) -> simpy.Event:
        """Happens once so many threads have each done so much work."""
        self._advance()
        done = self._env.event()
        heapq.heappush(self._jobs, (self._clock + seconds, next(self._numbers), threads, done))
        self._threads += threads
        self._set_alarm()
        return done

    def _rate(self) -> float:
        return min(1.0, self._count / self._threads) if self._threads else 0.0

    def _advance(self) -> None:
        """Accounts for the time since the last change."""
        passed, self._at = self._env.now - self._at, self._env.now
        self._clock += passed * self._rate()
        self.busy_s += passed * min(self._count, self._threads)

    def _set_alarm(self) -> None:
        self._alarm += 1
        if self._jobs:
            wait_s = max(0.0, self._jobs[0][0] - self._clock) / self._rate()
            alarm = self._env.timeout(wait_s, (self._alarm, self._jobs[0][0]))
            alarm.callbacks.append(self._ring)

    def _ring(self, alarm: Any) -> None:
        number, end = alarm.value
        if number != self._alarm:
            return
        self._advance()
        self._clock = max(self._clock, end)  # rounding must not leave a job a hair short
        while self._jobs and self._jobs[0][0] <= self._clock:
            _, _, threads, done = heapq.heappop(self._jobs)
            self._threads -= threads
            done.succeed()
        self._set_alarm()
