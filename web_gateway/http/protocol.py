"""One HTTP connection as uvicorn and h11 serve it, and what neither bounds: its time, its turns, how many there are."""

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

EVENTS = 32  # of h11's that a connection handles in one turn: a body may come in chunks of one byte, each some 25 us
REFUSED = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncache-control: no-store\r\nconnection: close\r\n"
)


@dataclass(frozen=True)
class Clocks:
    """Seconds that a client may take over each part of its work."""

    body: float  # from a head's end to its body's end, whether the app reads it or not
    head: float = 20.0  # from a head's first byte, or the connection's start, to its end
    unread: float = 30.0  # without reading anything of what it was sent


class Flow(FlowControl):
    """Takes nothing more from a connection while there is something of it to read."""

    def __init__(self, transport: asyncio.Transport, arrived: bytearray) -> None:
        super().__init__(transport)
        self._arrived = arrived

    def pause_reading(self) -> None:
        """Also where uvicorn has gone on without a word."""
        self.read_paused = True
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Once all is read."""
        if not self._arrived:
            super().resume_reading()


class BoundedProtocol(H11Protocol):
    """One connection. What is no request is refused in the one shape; what never ends is cut off.

    So is a client that stops reading what it asked for, and one for whom `places` has no room; `named` tells from an
    address whose connection it is.
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
        self._arrived = bytearray()  # and not read yet
        self._waits = False  # for a turn
        self._part = (0, "")
        self._part_timer: asyncio.TimerHandle | None = None
        self._unread_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Lets the connection in and starts the clock."""
        super().connection_made(transport)
        self.flow = Flow(transport, self._arrived)
        self._owner = self._named(self.client[0] if self.client else "")
        self._admitted = self._places.take(self._owner)
        if self._admitted:
            self._mind_part()
        else:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops the clocks."""
        if self._admitted:
            self._places.give(self._owner)
        for timer in (self._part_timer, self._unread_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Reads a body of known length at once, for that costs little; anything else when the client's turn comes."""
        self._arrived += data
        if self.conn.open_part[1] == "body" and not self.conn.chunked:
            self._read()
        else:
            self._take_turn()

    def handle_events(self) -> None:
        """After an answer, for what h11 has of the next request."""
        if self._arrived or self.conn.trailing_data[0]:
            self._take_turn()
        else:
            self._handle_events()

    def on_response_complete(self) -> None:
        """The next request may come, or the connection closes."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._await_reader()
        elif self._arrived:
            self._take_turn()

    def pause_writing(self) -> None:
        """The client reads more slowly than it is sent to."""
        super().pause_writing()
        self._await_reader()

    def resume_writing(self) -> None:
        """It has caught up; a connection that closes waits until all is read."""
        if not self.transport.is_closing() and self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Refuses what is no request, and ends the connection. An answer that has begun is cut short instead."""
        if not self._answering():
            body = msgspec.json.encode(Problem(error=self.conn.fault, code="invalid_argument"))
            self.transport.write(REFUSED + b"content-length: %d\r\n\r\n" % len(body) + body)
        self._close()

    def timeout_keep_alive_handler(self) -> None:
        """No next request came."""
        self._close()

    def shutdown(self) -> None:
        """Ends after the request at work, if there is one."""
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
        """Gives each head and each body its time, whatever else happens. Bytes that are no request buy none."""
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
        """Ends a connection of whose answers nothing was read for a while; `left` were unread at the last look."""
        unread = self.transport.get_write_buffer_size()
        if left is not None and unread >= left:
            self.transport.abort()
        else:
            self._unread_timer = self.loop.call_later(self._clocks.unread, self._look_again, unread)
