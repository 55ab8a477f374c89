"""How many requests may be in flight: in all, per address, per session; half of each limit is open to streams."""

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator

from inference_server.errors import Overloaded, Stopping
from inference_server.messages import Client
from inference_server.sequence import Permit

RETRY_AFTER_S = (0.1, 60.0)  # the shortest and the longest wait that a refused caller is told

STREAM_SHARE = 0.5  # of each limit: streams last, and must leave room for clicks

STOPPING = "the server is stopping; try again in a moment"


class Admission:
    """Counts requests in flight and refuses those beyond a limit; from any thread."""

    def __init__(self, limit: int, address_limit: int, session_limit: int) -> None:
        """At most `limit` permits at a time, `address_limit` per address and `session_limit` per session of one.

        Requests without a session are bounded by their address alone.
        """
        self.limit = limit
        self.address_limit = address_limit
        self.session_limit = session_limit
        self.refused = 0  # so far
        self._addresses: dict[str, Counter[str]] = {}  # how many of each session
        self._streams: dict[str, Counter[str]] = {}  # of these
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
        """Clients with a request in flight."""
        with self._lock:
            return sum(map(len, self._addresses.values()))

    @contextlib.contextmanager
    def admit(self, client: Client, turn_s: float, stream: bool = False) -> Iterator[Permit]:
        """A permit for one request; `turn_s` is how long a request computes, of late.

        A stream's request is one whose answer comes in parts, for as long as its caller takes them.
        Raises Overloaded if all are taken, or the address's or session's share of them, with the time to retry after;
        Stopping after stop.
        """
        with self._lock:
            if self._stopping:
                raise Stopping(STOPPING)
            if full := self._full(client, turn_s) or (self._full_of_streams(client, turn_s) if stream else None):
                self.refused += 1
                raise full
            self._addresses.setdefault(client.address, Counter())[client.session] += 1
            if stream:
                self._streams.setdefault(client.address, Counter())[client.session] += 1
            self._total += 1
        permit = Permit(lambda: self._leave(client, stream), client, stream)
        try:
            yield permit
        finally:
            permit.release()

    def stop(self, on_empty: Callable[[], object]) -> None:
        """Admits nobody from now on; calls `on_empty` once nothing is in flight, on whatever thread that happens."""
        with self._lock:
            self._stopping = True
            empty = not self._total
            self._on_empty = None if empty else on_empty
        if empty:
            on_empty()

    def _full(self, client: Client, turn_s: float) -> Overloaded | None:
        """Why a client can't be admitted now; None if it can.

        Addresses take turns, and so do the sessions of each: one of a client's own requests is done after one request
        of each address.
        """
        here = self._addresses.get(client.address, Counter[str]())
        if self._total >= self.limit:
            words = f"server at capacity ({self._total} requests in flight); retry later"
            return Overloaded(words, _bounded(turn_s * self._total))
        if here.total() >= self.address_limit:
            words = f"this address is at its limit ({here.total()} requests in flight); wait for their answers"
            return Overloaded(words, _bounded(turn_s * len(self._addresses)))
        if client.session and here[client.session] >= self.session_limit:
            words = f"this session is at its limit ({here[client.session]} requests in flight); wait for their answers"
            return Overloaded(words, _bounded(turn_s * len(self._addresses) * len(here)))
        return None

    def _full_of_streams(self, client: Client, turn_s: float) -> Overloaded | None:
        """Why a client can't open another stream now; None if it can."""
        here = self._streams.get(client.address, Counter[str]())
        total = sum(each.total() for each in self._streams.values())
        for whose, count, limit in (
            ("this server is", total, self.limit),
            ("this address is", here.total(), self.address_limit),
            ("this session is", here[client.session] if client.session else 0, self.session_limit),
        ):
            if count >= max(1, int(limit * STREAM_SHARE)):
                words = f"{whose} at its limit of {count} open stream{'s' * (count > 1)}; wait until one ends"
                return Overloaded(words, _bounded(turn_s * self._total))
        return None

    def _leave(self, client: Client, stream: bool) -> None:
        with self._lock:
            _take_out(self._addresses, client)
            if stream:
                _take_out(self._streams, client)
            self._total -= 1
            on_empty = None if self._total else self._on_empty
        if on_empty:
            on_empty()


def _take_out(addresses: dict[str, Counter[str]], client: Client) -> None:
    here = addresses[client.address]
    here[client.session] -= 1
    if not here[client.session]:
        del here[client.session]
    if not here:
        del addresses[client.address]


def _bounded(seconds: float) -> float:
    least, most = RETRY_AFTER_S
    return min(most, max(least, seconds))
