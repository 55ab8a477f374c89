"""How long a free worker waits for questions that are on their way. Knows neither threads nor clocks.

Callers who were answered together mostly ask again together, some milliseconds later. Whoever is first back would have
a step of their own, which reads all weights for one token, and the others would wait for it.
"""

SHARE = 0.25  # of the time of the step before: the most that is waited
MOST_S = 0.03  # and never longer


class BatchWindow:
    """Who is expected back after a step."""

    def __init__(self, batch_size: int) -> None:
        """A step takes at most `batch_size` questions."""
        self._batch_size = batch_size
        self._expected = 0
        self._until = 0.0

    def answered(self, count: int, waiting: int, spent_s: float, now: float) -> None:
        """A step of `spent_s` seconds has answered so many, and so many others wait for the next one."""
        self._expected = min(self._batch_size, count + waiting)
        self._until = now + min(MOST_S, SHARE * spent_s)

    def wait_s(self, waiting: int, others: int, now: float) -> float:
        """Seconds that those who wait may still be joined; 0 once all expected are there or `others` have work."""
        return max(0.0, self._until - now) if 0 < waiting < self._expected and not others else 0.0
