"""The batch window: how long a free worker waits for requests that are likely to come. Has no clock of its own.

Callers who were answered together mostly ask again together, some milliseconds later. Without a wait, the first one
back would get a step alone, which reads all weights for one token, and the others would wait for it.
"""

SHARE = 0.25  # of the last step's time: the longest wait
MOST_S = 0.03  # the longest wait after any step


class BatchWindow:
    """How many requests are expected after a step, and until when."""

    def __init__(self, batch_size: int) -> None:
        """A step takes at most `batch_size` requests."""
        self._batch_size = batch_size
        self._expected = 0
        self._until = 0.0

    def answered(self, count: int, waiting: int, spent_s: float, now: float) -> None:
        """A step of `spent_s` seconds answered `count` requests; `waiting` others wait for the next one."""
        self._expected = min(self._batch_size, count + waiting)
        self._until = now + min(MOST_S, SHARE * spent_s)

    def wait_s(self, waiting: int, others: int, now: float) -> float:
        """Seconds left to wait for more; 0 once all expected requests are there, or `others` can be computed."""
        return max(0.0, self._until - now) if 0 < waiting < self._expected and not others else 0.0
