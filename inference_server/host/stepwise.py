"""A computation in a thread of its own that runs only while its owner waits for it: one slice of time after another.

So work that can't be split, such as a backward pass, takes turns with other work on the same cores.
"""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from inference_server.host import openmp
from inference_server.interruption import Interruption

PART = 128  # rows: a few milliseconds of a product of ordinary size

T = TypeVar("T")


class Abandoned(BaseException):
    """Raised within a computation that nobody wants any more."""


class _Current(threading.local):
    value: "Stepwise[object] | None" = None


_current = _Current()


def pause() -> None:
    """Called by a computation now and then: ends its slice if the time is over. Does nothing in any other thread."""
    if _current.value is not None:
        _current.value._pause()


def parts(rows: int) -> Iterator[slice]:
    """The rows of a product, some at a time, with a pause before each part; all at once in any other thread."""
    step = PART if _current.value is not None else max(1, rows)
    for start in range(0, rows, step):
        pause()
        yield slice(start, min(rows, start + step))


class Stepwise(Generic[T]):
    """One computation. Its thread starts with the first step and ends with the computation, or after `close`."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._changed = threading.Condition()
        self._begun = self._running = self._closed = False
        self._until = 0.0
        self._interruption: Interruption | None = None
        self._found: T | None = None
        self._error: BaseException | None = None

    def step(self, seconds: float, interruption: Interruption | None = None) -> T | None:
        """Runs it for about that long; its result once it is done, else None, also after `close`.

        `interruption` may end the slice before. Raises what it raises. One thread at a time.
        """
        with self._changed:
            if self._closed:
                return None
            self._running, self._until = True, time.monotonic() + seconds
            self._interruption = interruption
            if self._begun:
                self._changed.notify_all()
            else:
                self._begun = True
                threading.Thread(target=self._run, name="stepwise", daemon=True).start()
            self._changed.wait_for(lambda: not self._running)
        if self._error is not None and not isinstance(self._error, Abandoned):
            raise self._error
        return self._found

    def close(self) -> None:
        """Ends it at its next pause, from any thread, without waiting."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _run(self) -> None:
        _current.value = self  # type: ignore[assignment]  # whatever it computes
        try:
            self._found = self._work()
        except BaseException as error:  # whatever it is, the owner gets it
            self._error = error
        with self._changed:
            self._running = False
            self._changed.notify_all()

    def _pause(self) -> None:
        hurry = self._interruption is not None and self._interruption.asked
        if time.monotonic() < self._until and not hurry and not self._closed:
            return
        openmp.dismiss()  # or the owner's helpers would not spin
        with self._changed:
            if not self._closed:
                self._running = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._running or self._closed)
            if self._closed:
                raise Abandoned
