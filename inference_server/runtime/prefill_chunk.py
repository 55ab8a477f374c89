"""The size of prefill chunks, learnt from how long they take. Has no clock of its own."""

LEAST = 16  # fewer cost nearly as much: a step reads every weight
FEWEST = 4  # fewer cost as much
FIRST = 64  # before any chunk was timed
AIM = 0.8  # of the time allowed, since steps on a busy machine vary


class PrefillChunk:
    """The size of a chunk that takes about `step_s` seconds at most."""

    def __init__(self, most: int, step_s: float, least: int = LEAST, first: int = FIRST) -> None:
        """A chunk never has more than `most` tokens, nor fewer than `least`; the first one has `first`."""
        self._most = most
        self._least = min(least, most)
        self._aim_s = AIM * step_s
        self._tokens = float(min(first, most))
        self.tokens = int(self._tokens)
        """The most tokens of the next chunk."""

    def took(self, tokens: int, seconds: float) -> None:
        """A chunk of so many tokens took so long. Chunks far from full are ignored.

        The size goes down at once, but at most by half, for the chunk may have been disturbed; it goes up in smaller
        steps, since others wait for a chunk that is too long.
        """
        if 2 * tokens >= self._tokens:
            change = self._aim_s / max(seconds, 1e-9)
            stride = max(0.5, change) if change < 1 else min(1.5, change**0.5)
            self._tokens = max(self._least, min(self._most, tokens * stride))
            self.tokens = int(self._tokens)
