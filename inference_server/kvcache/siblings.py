"""The children of one node of the radix cache, by their tokens."""

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import Generic, TypeVar

V = TypeVar("V")
Tokens = tuple[int, ...]


class Siblings(Generic[V]):
    """Values by their tokens, none of which are empty; looked up by binary search."""

    __slots__ = ("_order", "_values")

    def __init__(self) -> None:
        self._values: dict[Tokens, V] = {}
        self._order: list[Tokens] = []  # sorted, so those that begin alike are neighbours

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[Tokens]:
        return iter(self._order)

    def get(self, tokens: Tokens) -> V | None:
        """The value of exactly these tokens."""
        return self._values.get(tokens)

    def add(self, tokens: Tokens, value: V) -> None:
        """Adds a value whose tokens are not here yet."""
        insort(self._order, tokens)
        self._values[tokens] = value

    def remove(self, tokens: Tokens) -> None:
        """Removes the value of these tokens. Raises KeyError if there is none."""
        del self._values[tokens]
        del self._order[bisect_left(self._order, tokens)]

    def closest(self, tokens: Tokens) -> tuple[V | None, int]:
        """The value that shares the longest prefix with these tokens, and its length; None if none shares the first.

        In sorted order it is right before or right after them.
        """
        if (exact := self._values.get(tokens)) is not None:
            return exact, len(tokens)
        at = bisect_left(self._order, tokens)
        most, best = max(
            ((shared(near, tokens), near) for near in self._order[max(0, at - 1) : at + 1]), default=(0, ())
        )
        return (self._values[best], most) if most else (None, 0)


def shared(one: Tokens, other: Tokens) -> int:
    """How many first tokens two have in common."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
