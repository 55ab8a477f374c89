"""Who may be in flight: so many requests in all, and a share of them of one client. Starts no thread."""

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator

from inference_server.errors import Overloaded, Stopping

RETRY_AFTER_S = (0.1, 60.0)  # what a refused caller may be told, at least and at most

STOPPING = "the server is stopping; try again in a moment"


class Slot:
    """Permission of one client to be in flight. Its holders share it; the last one to let go frees it."""

    def __init__(self, free: Callable[[], None], client: str = "") -> None:
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


class Gate:
    """Counts who is in flight, from any thread, and refuses who comes too many."""

    def __init__(self, limit: int, client_limit: int) -> None:
        """At most `limit` slots at a time, and at most `client_limit` of one client."""
        self.limit = limit
        self.client_limit = client_limit
        self.refused = 0  # so far
        self._clients: Counter[str] = Counter()
        self._stopping = False
        self._on_empty: Callable[[], object] | None = None
        self._lock = threading.Lock()

    @property
    def in_flight(self) -> int:
        with self._lock:
            return self._clients.total()

    @property
    def clients(self) -> int:
        """How many clients have something in flight."""
        with self._lock:
            return len(self._clients)

    @contextlib.contextmanager
    def admit(self, client: str, turn_s: float) -> Iterator[Slot]:
        """A slot for one request; `turn_s` is how long a request computes, of late.

        Raises Overloaded when all or the client's share are taken, saying when one should be free; Stopping after stop.
        """
        with self._lock:
            if self._stopping:
                raise Stopping(STOPPING)
            everybody, own = self._clients.total(), self._clients[client]
            if everybody >= self.limit or own >= self.client_limit:
                self.refused += 1
            if everybody >= self.limit:
                words = f"{everybody} requests are in flight, as many as may be; try again later"
                raise Overloaded(words, _bounded(turn_s * everybody))
            if own >= self.client_limit:  # clients take turns: after one of each, one of these is done
                words = f"{own} requests of this client are in flight, as many as one may have; wait for their answers"
                raise Overloaded(words, _bounded(turn_s * len(self._clients)))
            self._clients[client] += 1
        slot = Slot(lambda: self._leave(client), client)
        try:
            yield slot
        finally:
            slot.release()

    def stop(self, on_empty: Callable[[], object]) -> None:
        """Admits nobody from now on; calls once nobody is in flight, at once or on whatever thread frees the last."""
        with self._lock:
            self._stopping = True
            empty = not self._clients
            self._on_empty = None if empty else on_empty
        if empty:
            on_empty()

    def _leave(self, client: str) -> None:
        with self._lock:
            self._clients[client] -= 1
            if not self._clients[client]:
                del self._clients[client]
            on_empty = None if self._clients else self._on_empty
        if on_empty:
            on_empty()


def _bounded(seconds: float) -> float:
    least, most = RETRY_AFTER_S
    return min(most, max(least, seconds))
