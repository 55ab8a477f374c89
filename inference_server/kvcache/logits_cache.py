"""A bounded cache of prompts' logits."""

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
    """Values by owner and exact token ids; the least recently used are evicted first. From any thread.

    `used_bytes` counts values and their keys and never exceeds `limit_bytes`; a value too large for that is not cached.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.used_bytes = 0
        self.hits = 0
        self.misses = 0
        self.evictions = 0
        self._entries: OrderedDict[Key, V] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def stats(self) -> LogitsCacheStats:
        """From any thread."""
        with self._lock:
            found = sum(_cost(key, value) for key, value in self._entries.items())
            return LogitsCacheStats(
                self.hits,
                self.misses,
                self.evictions,
                len(self),
                self.used_bytes,
                self.limit_bytes,
                self.used_bytes - found,
            )

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, owner: Hashable, token_ids: Sequence[int], counted: bool = True) -> V | None:
        """The value for these ids, which becomes the most recently used; None if there is none.

        Only `counted` look-ups are hits or misses: not, for instance, a second one for the same request.
        """
        key = _key(owner, token_ids)
        with self._lock:
            value = self._entries.get(key)
            if value is None:
                self.misses += counted
                return None
            self.hits += counted
            self._entries.move_to_end(key)
        return value

    def recall(self, owner: Hashable, token_ids: Sequence[int]) -> V | None:
        """As `get`, for a caller who will `get` what is not there, so that a miss is counted once."""
        value = self.get(owner, token_ids, counted=False)
        with self._lock:
            self.hits += value is not None
        return value

    def put(self, owner: Hashable, token_ids: Sequence[int], value: V) -> None:
        """Caches a value, in place of any other for these ids, evicting the least recently used ones if needed."""
        key = _key(owner, token_ids)
        cost = _cost(key, value)
        with self._lock:
            self._drop(key)
            if cost > self.limit_bytes:
                return
            while self.used_bytes + cost > self.limit_bytes:
                self._drop(next(iter(self._entries)))
                self.evictions += 1
            self._entries[key] = value
            self.used_bytes += cost

    def _drop(self, key: Key) -> None:
        value = self._entries.pop(key, None)
        if value is not None:
            self.used_bytes -= _cost(key, value)


def _key(owner: Hashable, token_ids: Sequence[int]) -> Key:
    return owner, array("i", token_ids).tobytes()


def _cost(key: Key, value: Sized) -> int:
    return sys.getsizeof(key[1]) + value.nbytes
