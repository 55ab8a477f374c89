"""Which prompts' results are still held, what they cost, and which go first. Knows no torch."""

import sys
import threading
from array import array
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import Generic, Protocol, TypeVar

from inference_server.stats import LogitsCacheStats


class Sized(Protocol):
    """A value that knows its size in memory."""

    @property
    def nbytes(self) -> int: ...


V = TypeVar("V", bound=Sized)
Key = tuple[Hashable, bytes]


class LogitsCache(Generic[V]):
    """Values by owner and exact token ids, the least recently used forgotten first; one thread's, shared by owners.

    `held_bytes` counts values and the ids they are kept under and never passes `limit_bytes`; a value too large to be
    held at all is not kept.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.held_bytes = 0
        self.hits = 0
        self.misses = 0
        self.evictions = 0
        self._held: OrderedDict[Key, V] = OrderedDict()
        self._steady = threading.Lock()  # while it is counted anew, nothing changes

    @property
    def stats(self) -> LogitsCacheStats:
        """What is counted, from any thread."""
        with self._steady:
            found = sum(_cost(key, value) for key, value in self._held.items())
            return LogitsCacheStats(
                self.hits,
                self.misses,
                self.evictions,
                len(self),
                self.held_bytes,
                self.limit_bytes,
                self.held_bytes - found,
            )

    def __len__(self) -> int:
        return len(self._held)

    def get(self, owner: Hashable, token_ids: Sequence[int], counted: bool = True) -> V | None:
        """The value kept for these ids, which becomes the most recently used; None where there is none.

        `counted` look-ups are hits or misses; others, such as a second one for the same request, are neither.
        """
        key = _key(owner, token_ids)
        value = self._held.get(key)
        if value is None:
            self.misses += counted
            return None
        self.hits += counted
        with self._steady:
            self._held.move_to_end(key)
        return value

    def put(self, owner: Hashable, token_ids: Sequence[int], value: V) -> None:
        """Keeps a value, in place of any other for these ids, at the cost of the least recently used ones."""
        key = _key(owner, token_ids)
        cost = _cost(key, value)
        with self._steady:
            self._drop(key)
            if cost > self.limit_bytes:
                return
            while self.held_bytes + cost > self.limit_bytes:
                self._drop(next(iter(self._held)))
                self.evictions += 1
            self._held[key] = value
            self.held_bytes += cost

    def _drop(self, key: Key) -> None:
        value = self._held.pop(key, None)
        if value is not None:
            self.held_bytes -= _cost(key, value)


def _key(owner: Hashable, token_ids: Sequence[int]) -> Key:
    return owner, array("i", token_ids).tobytes()


def _cost(key: Key, value: Sized) -> int:
    return sys.getsizeof(key[1]) + value.nbytes
