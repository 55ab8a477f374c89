"""Bases of adapters: each is read once, for itself if it is listed and for every adapter on it."""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TypeVar

from inference_server.errors import LoadFailed
from inference_server.models import adapter

N = TypeVar("N")


class Bases:
    """What was read of the bases that listed adapters need. One thread at a time."""

    def __init__(self, names: Iterable[str]) -> None:
        """`names`: the listed models'."""
        self._adapted: set[str] = set()
        self._read: dict[str, object] = {}
        self._users: Counter[str] = Counter()
        for name in names:
            with contextlib.suppress(LoadFailed):  # said when its turn comes
                base, added = adapter.parts(name)
                if added is not None:
                    self._adapted.add(base)

    def shares(self, base: str) -> bool:
        """Whether adapters share a base's weights."""
        return base in self._adapted

    def get(self, base: str, read: Callable[[], N]) -> N:
        """What was read of a base before, else now."""
        if base not in self._read:
            found = read()
            if base in self._adapted:
                self._read[base] = found
            return found
        return self._read[base]  # type: ignore[return-value]  # what `read` gave

    def settle(self, base: str, *, loaded: bool) -> None:
        """One of its models is loaded or has failed; what none of them has loaded is not kept."""
        self._users[base] += loaded
        if not self._users[base]:
            self._read.pop(base, None)
