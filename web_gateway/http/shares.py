"""A shared resource with a total limit and a limit per client."""

from collections import Counter
from collections.abc import Callable

SHARE = "share"  # reason: the client is at its own limit

Refused = Callable[[str], object]
"""Called with the reason for each rejection, one of metrics.REASONS."""


class Shares:
    """`total` units, of which one client may use `per_client`. `kind` is the reason when all are in use."""

    def __init__(self, kind: str, total: int, per_client: int, refused: Refused) -> None:
        self.kind = kind
        self.total = total
        self.per_client = per_client
        self.in_use = 0
        self._refused = refused
        self._by_client: Counter[str] = Counter()

    def take(self, client: str | None, amount: int = 1) -> bool:
        """Acquires `amount`; False if that exceeds a limit. None: no client limit, as for a proxy."""
        if self.in_use + amount > self.total:
            self._refused(self.kind)
            return False
        if client is not None:
            if self._by_client[client] + amount > self.per_client:
                self._refused(SHARE)
                return False
            self._by_client[client] += amount
        self.in_use += amount
        return True

    def give(self, client: str | None, amount: int = 1) -> None:
        """Releases `amount`."""
        self.in_use -= amount
        if client is not None:
            self._by_client[client] -= amount
            if not self._by_client[client]:
                del self._by_client[client]
