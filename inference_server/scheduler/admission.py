"""Who may be in flight: so many requests in all, and a part of them from one address. Starts no thread."""

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator

from inference_server.errors import Overloaded, Stopping
from inference_server.messages import NOBODY, Client

RETRY_AFTER_S = (0.1, 60.0)  # what a refused caller may be told, at least and at most

STOPPING = "the server is stopping; try again in a moment"


class Permit:
    """Permission of one client to be in flight. Its holders share it; the last one to let go frees it."""

    def __init__(self, free: Callable[[], None], client: Client = NOBODY) -> None:
        self.client = client
        self._free = free
        self._holders = 1
        self._lock = threading.Lock()

    def hold(self) -> None:
        """Adds a holder."""
        with self._lock:
            self._holders += 1

    def release(self) -> None:
        """Removes a holder."""
        with self._lock:
            self._holders -= 1
            free = self._holders == 0
        if free:
            self._free()


class Admission:
    """Counts who is in flight, from any thread, and refuses who comes too many."""

    def __init__(self, limit: int, address_limit: int, session_limit: int) -> None:
        """At most `limit` slots at a time, `address_limit` of one address and `session_limit` of a session there.

        Requests that name no session are bounded by their address alone.
        """
        self.limit = limit
        self.address_limit = address_limit
        self.session_limit = session_limit
        self.refused = 0  # so far
        self._addresses: dict[str, Counter[str]] = {}  # how many of each session
        self._total = 0
        self._stopping = False
        self._on_empty: Callable[[], object] | None = None
        self._lock = threading.Lock()

    @property
    def in_flight(self) -> int:
        with self._lock:
            return self._total

    @property
    def clients(self) -> int:
        """How many clients have something in flight."""
        with self._lock:
            return sum(map(len, self._addresses.values()))

    @contextlib.contextmanager
    def admit(self, client: Client, turn_s: float) -> Iterator[Permit]:
        """A slot for one request; `turn_s` is how long a request computes, of late.

        Raises Overloaded when all are taken, or the address's or session's part of them, saying when one should be
        free; Stopping after stop.
        """
        with self._lock:
            if self._stopping:
                raise Stopping(STOPPING)
            if full := self._full(client, turn_s):
                self.refused += 1
                raise full
            self._addresses.setdefault(client.address, Counter())[client.session] += 1
            self._total += 1
        slot = Permit(lambda: self._leave(client), client)
        try:
            yield slot
        finally:
            slot.release()

    def stop(self, on_empty: Callable[[], object]) -> None:
        """Admits nobody from now on; calls once nobody is in flight, at once or on whatever thread frees the last."""
        with self._lock:
            self._stopping = True
            empty = not self._total
            self._on_empty = None if empty else on_empty
        if empty:
            on_empty()

    def _full(self, client: Client, turn_s: float) -> Overloaded | None:
        """Why there is no slot for a client now; None where there is one.

        Addresses take turns, and the sessions of each: after one request of each address, one of its own is done.
        """
        here = self._addresses.get(client.address, Counter[str]())
        if self._total >= self.limit:
            words = f"{self._total} requests are in flight, as many as may be; try again later"
            return Overloaded(words, _bounded(turn_s * self._total))
        if here.total() >= self.address_limit:
            words = f"{here.total()} requests from this address are in flight, as many as one may have"
            return Overloaded(f"{words}; wait for their answers", _bounded(turn_s * len(self._addresses)))
        if client.session and here[client.session] >= self.session_limit:
            words = f"{here[client.session]} requests of this session are in flight, as many as one may have"
            wait_s = turn_s * len(self._addresses) * len(here)
            return Overloaded(f"{words}; wait for their answers", _bounded(wait_s))
        return None

    def _leave(self, client: Client) -> None:
        with self._lock:
            here = self._addresses[client.address]
            here[client.session] -= 1
            if not here[client.session]:
                del here[client.session]
            if not here:
                del self._addresses[client.address]
            self._total -= 1
            on_empty = None if self._total else self._on_empty
        if on_empty:
            on_empty()


def _bounded(seconds: float) -> float:
    least, most = RETRY_AFTER_S
    return min(most, max(least, seconds))
