"""Whether the worker thread still makes steps."""

import time


class Watchdog:
    """A clock that runs while there is work and restarts with each step. Changes need the owner's lock."""

    def __init__(self) -> None:
        self._since: float | None = None

    def wait(self) -> None:
        """Work is waiting: the clock starts if it is not running."""
        if self._since is None:
            self._since = time.monotonic()

    def begin(self) -> None:
        """A step begins."""
        self._since = time.monotonic()

    def end(self, more: bool) -> None:
        """A step has ended; `more`: work is waiting."""
        self._since = time.monotonic() if more else None

    def still_s(self) -> float:
        """Seconds without a step while there was work; 0 if there is none. From any thread."""
        since = self._since
        return 0.0 if since is None else time.monotonic() - since
