"""Whether the thread that owns the models still moves. Knows neither models nor requests."""

import time


class Watchdog:
    """A clock that runs while there is work, and starts anew at each step. Its owner's lock guards the changes."""

    def __init__(self) -> None:
        self._since: float | None = None

    def wait(self) -> None:
        """Work waits; the clock starts if it does not run."""
        if self._since is None:
            self._since = time.monotonic()

    def begin(self) -> None:
        """A step begins."""
        self._since = time.monotonic()

    def end(self, more: bool) -> None:
        """A step has ended; `more`: work waits."""
        self._since = time.monotonic() if more else None

    def still_s(self) -> float:
        """Seconds without a step while there was work, from any thread; 0 where there is none."""
        since = self._since
        return 0.0 if since is None else time.monotonic() - since
