"""Makes choices out of a fuzzer's bytes: the same bytes make the same choices, and no bytes are too few."""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Data:
    """What is left of the bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def byte(self) -> int:
        """The next byte; 0 at the end."""
        self._at += 1
        return self._data[self._at - 1] if self._at <= len(self._data) else 0

    def choice(self, of: Sequence[T]) -> T:
        """One of at most 256."""
        return of[self.byte() % len(of)]

    def number(self, below: int) -> int:
        """From 0 on, out of three bytes."""
        return (self.byte() << 16 | self.byte() << 8 | self.byte()) % below

    def some(self, most: int) -> range:
        """A range of up to so many, for loops."""
        return range(self.byte() % (most + 1))

    def rest(self) -> bytes:
        """All bytes not used yet."""
        left, self._at = self._data[self._at :], len(self._data)
        return left
