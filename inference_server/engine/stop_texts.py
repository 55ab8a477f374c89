"""Finds the texts that end a continuation, also across tokens."""

from collections.abc import Sequence


class StopTexts:
    """The texts that end one continuation, and the end of what it has written."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = [(text, text.encode()) for text in texts]
        self._overlap = max((len(wanted) for _, wanted in self._texts), default=1) - 1
        self._tail = b""  # as much of the text as may be the beginning of a stop text
        self._length = 0  # of the whole text, in bytes

    def add(self, written: bytes) -> tuple[str, int] | None:
        """More bytes of the text. Returns the first stop text in it and the byte at which that begins, if any."""
        known = self._tail + written
        found = [(at, text) for text, wanted in self._texts if (at := known.find(wanted)) >= 0]
        begins = self._length - len(self._tail)
        self._length += len(written)
        self._tail = known[-self._overlap :] if self._overlap else b""
        if not found:
            return None
        at, text = min(found, key=lambda each: each[0])
        return text, begins + at
