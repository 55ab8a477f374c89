"""Something of which there is only so much, and of which one client may hold a part. Counts; knows no request."""

from collections import Counter
from collections.abc import Callable

SHARE = "share"  # why a client was refused what others would still get

Refused = Callable[[str], object]
"""Told why something was refused, in one word."""


class Shares:
    """`most` in all and `each` for one client; `kind` is the word for a refusal because all are taken."""

    def __init__(self, kind: str, most: int, each: int, refused: Refused) -> None:
        self.kind = kind
        self.most = most
        self.each = each
        self.held = 0
        self._refused = refused
        self._by_client: Counter[str] = Counter()

    def take(self, client: str | None, amount: int = 1) -> bool:
        """Whether the client has it now. None is somebody who stands for many, and has no share of its own."""
        if self.held + amount > self.most:
            self._refused(self.kind)
            return False
        if client is not None:
            if self._by_client[client] + amount > self.each:
                self._refused(SHARE)
                return False
            self._by_client[client] += amount
        self.held += amount
        return True

    def give(self, client: str | None, amount: int = 1) -> None:
        """Gives back what was taken."""
        self.held -= amount
        if client is not None:
            self._by_client[client] -= amount
            if not self._by_client[client]:
                del self._by_client[client]
