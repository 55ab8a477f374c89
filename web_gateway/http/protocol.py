"""uvicorn's h11 protocol with limits on time, connections and work per event loop turn."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.h11_impl import H11Protocol

from web_gateway.http.framing import Framing
from web_gateway.http.shares import Shares
from web_gateway.http.turns import Turns
from web_gateway.messages import Problem

EVENTS = 32  # h11 events per turn: a body can arrive in one-byte chunks, which take about 25 us each
REFUSED = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncache-control: no-store\r\nconnection: close\r\n"
)


@dataclass(frozen=True)
class Clocks:
    """Timeouts in seconds."""

    body: float  # from the end of the head to the end of the body, even if the app does not read it
    head: float = 20.0  # from its first byte, or from connecting, to its end
    unread: float = 30.0  # without reading any of its response


class Flow(FlowControl):
    """Pauses reading while received bytes are still unparsed."""

    def __init__(self, transport: asyncio.Transport, arrived: bytearray) -> None:
        super().__init__(transport)
        self._arrived = arrived

    def pause_reading(self) -> None:
        """Pauses even if uvicorn believes it already has."""
        self.read_paused = True
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Resumes once everything is parsed."""
        if not self._arrived:
            super().resume_reading()


class BoundedProtocol(H11Protocol):
    """One connection. Malformed requests get a JSON error; slow clients and connections over the limit are closed.

    `places` limits connections; `named` maps an address to its client.
    """

    def __init__(
        self,
        *args: Any,
        clocks: Clocks,
        places: Shares,
        turns: Turns,
        named: Callable[[str], str | None],
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.conn: Framing = Framing()
        self._clocks = clocks
        self._places = places
        self._turns = turns
        self._named = named
        self._owner: str | None = None
        self._admitted = False
        self._arrived = bytearray()  # received but not parsed
        self._waits = False  # waiting for a turn
        self._part = (0, "")
        self._part_timer: asyncio.TimerHandle | None = None
        self._unread_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Applies the connection limit and starts the timeouts."""
        super().connection_made(transport)
        self.flow = Flow(transport, self._arrived)
        self._owner = self._named(self.client[0] if self.client else "")
        self._admitted = self._places.take(self._owner)
        if self._admitted:
            self._mind_part()
        else:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Releases the connection and stops the timeouts."""
        if self._admitted:
            self._places.give(self._owner)
        for timer in (self._part_timer, self._unread_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Reads a body of known length at once, since that is cheap; anything else in the client's turn."""
        self._arrived += data
        if self.conn.open_part[1] == "body" and not self.conn.chunked:
            self._read()
        else:
            self._take_turn()

    def handle_events(self) -> None:
        """Called after a response: handles what h11 already has of the next request."""
        if self._arrived or self.conn.trailing_data[0]:
            self._take_turn()
        else:
            self._handle_events()

    def on_response_complete(self) -> None:
        """Continues with the next request, or closes."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._await_reader()
        elif self._arrived:
            self._take_turn()

    def pause_writing(self) -> None:
        """The client reads too slowly."""
        super().pause_writing()
        self._await_reader()

    def resume_writing(self) -> None:
        """The client caught up; a closing connection keeps its timeout until everything is read."""
        if not self.transport.is_closing() and self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Sends an error for a malformed request, unless a response has started, and closes."""
        if not self._answering():
            body = msgspec.json.encode(Problem(error=self.conn.fault, code="invalid_argument"))
            self.transport.write(REFUSED + b"content-length: %d\r\n\r\n" % len(body) + body)
        self._close()

    def timeout_keep_alive_handler(self) -> None:
        """Closes an idle connection."""
        self._close()

    def shutdown(self) -> None:
        """Closes after the current request, if any."""
        if self.cycle is None or self.cycle.response_complete:
            self._close()
        else:
            self.cycle.keep_alive = False

    def _take_turn(self) -> None:
        if not self._waits:
            self._waits = True
            self._turns.take(self._owner, self._read)
        if self._arrived and not self.transport.is_closing():
            self.flow.pause_reading()

    def _read(self) -> None:
        self._waits = False
        if self.transport.is_closing():
            self._arrived.clear()
            return
        if self._arrived and self.conn.takes_more:
            self.conn.receive_data(bytes(self._arrived))
            self._arrived.clear()
        self._handle_events()
        if self.transport.is_closing():
            self._arrived.clear()
        elif self.conn.interrupted:
            self._take_turn()
        elif self._arrived:
            self.flow.pause_reading()
        elif self.cycle is None or self.cycle.response_complete or len(self.cycle.body) <= HIGH_WATER_LIMIT:
            self.flow.resume_reading()

    def _handle_events(self) -> None:
        self.conn.allow(EVENTS)
        super().handle_events()
        self._mind_part()

    def _answering(self) -> bool:
        return self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete

    def _mind_part(self) -> None:
        """Starts a timeout for each head and each body; other bytes don't extend it."""
        if (part := self.conn.open_part) == self._part and self._part_timer is not None:
            return
        self._part = part
        if self._part_timer is not None:
            self._part_timer.cancel()
            self._part_timer = None
        if part[1] == "body":
            self._part_timer = self.loop.call_later(self._clocks.body, self._close)
        elif part[1] == "head":
            self._unset_keepalive_if_required()
            self._part_timer = self.loop.call_later(self._clocks.head, self._close)

    def _close(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()
        self._await_reader()

    def _await_reader(self) -> None:
        if self._unread_timer is None:
            self._look_again()

    def _look_again(self, left: int | None = None) -> None:
        """Aborts the connection if none of its response was read since the last check; `left`: bytes unread then."""
        unread = self.transport.get_write_buffer_size()
        if left is not None and unread >= left:
            self.transport.abort()
        else:
            self._unread_timer = self.loop.call_later(self._clocks.unread, self._look_again, unread)
