"""How many tokens a step may compute, learnt from how long steps take. Knows neither models nor clocks."""

LEAST = 16  # fewer would cost nearly as much: a step reads every weight
FIRST = 64  # before any step was timed
AIM = 0.8  # of the time allowed, since a step on a busy machine takes longer than the one before


class PrefillChunk:
    """The size of a step that takes at most about `step_s` seconds."""

    def __init__(self, most: int, step_s: float) -> None:
        """A step is never of more than `most` tokens."""
        self._most = most
        self._least = min(LEAST, most)
        self._aim_s = AIM * step_s
        self._tokens = float(min(FIRST, most))

    @property
    def tokens(self) -> int:
        """The most tokens of the next step."""
        return int(self._tokens)

    def took(self, tokens: int, seconds: float) -> None:
        """A step of so many tokens took so long. Steps far from full say nothing of full ones.

        Down at once, but not by more than half, for a step may have been disturbed; up by smaller strides, since a step
        that is too long is what others wait for.
        """
        if 2 * tokens >= self._tokens:
            change = self._aim_s / max(seconds, 1e-9)
            stride = max(0.5, change) if change < 1 else min(1.5, change**0.5)
            self._tokens = max(self._least, min(self._most, tokens * stride))
