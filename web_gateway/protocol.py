"""HTTP/1.1 as uvicorn and httptools speak it, within bounds they lack: of heads, of unread answers, of connections."""

import asyncio
from collections.abc import Callable
from typing import Any

import httptools
import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from web_gateway.values import Problem

MAX_HEAD_BYTES = 2**16  # request line and headers; a browser's are below 8 KiB
SLOW_READER_S = 30.0  # that a client may leave what it was sent unread
HEAD_S = 20.0  # from a head's first byte, or the connection's start, to its end
REFUSED = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncache-control: no-store\r\nconnection: close\r\n"
)
NOT_HTTP = "What arrived is no HTTP/1.1 request."
LONG_HEAD = f"The request's path and headers are longer than {MAX_HEAD_BYTES:,} bytes."


class BoundedProtocol(HttpToolsProtocol):
    """One connection. A head that is malformed or too long is refused in the one shape; an endless one is cut off.

    So is a client that does not read what it asked for, and one that comes when `most` connections are open.
    """

    def __init__(self, *args: Any, most: int, refused: Callable[[str], object], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._most = most
        self._refused = refused
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._unread_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Starts the clock."""
        super().connection_made(transport)
        if len(self.connections) > self._most:
            self._refused("connections")
            transport.abort()
            return
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops the clocks."""
        self._head_over()
        self._read_on()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client reads more slowly than it is sent to."""
        super().pause_writing()
        self._wait_for_reader()

    def resume_writing(self) -> None:
        """It has caught up; a connection that closes waits until all is read."""
        if not self.transport.is_closing():
            self._read_on()
        super().resume_writing()

    def on_response_complete(self) -> None:
        """The next request may come, or the connection closes."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._wait_for_reader()

    def timeout_keep_alive_handler(self) -> None:
        """No next request came."""
        if not self.transport.is_closing():
            self._close()

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._expect_head()

    def on_headers_complete(self) -> None:
        """A head has ended well."""
        self._head_over()
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Counts while a head is open, and goes on waiting where it is none that arrives."""
        self._unset_keepalive_if_required()
        try:
            self._parse(data)
        except httptools.HttpParserError:
            self.logger.warning(NOT_HTTP)
            self.send_400_response(NOT_HTTP)
        if self._head_timer is None:
            self._wait_on()
        else:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
                self.send_400_response(LONG_HEAD)

    def send_400_response(self, msg: str) -> None:
        """Refuses what is no request, and ends the connection."""
        words = msg if msg == LONG_HEAD else NOT_HTTP
        body = msgspec.json.encode(Problem(error=words, code="invalid_argument"))
        self.transport.write(REFUSED + b"content-length: %d\r\n\r\n" % len(body) + body)
        self._close()

    def _expect_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_S, self._close)

    def _parse(self, data: bytes | memoryview) -> None:
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                if not self._should_upgrade():
                    return
                head, data = self._without_offer(), memoryview(data)[offer.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as in uvicorn
                self.parser.feed_data(head)
            else:
                return

    def _should_upgrade(self) -> bool:
        """Makes uvicorn leave a request alone that offers another protocol: it comes again, without the offer.

        CONNECT can't be anything else, and is refused.
        """
        return self.parser.get_method() != b"CONNECT"

    def _without_offer(self) -> bytes:
        """The head just read, as if it offered no other protocol: no body is ever read after one that does."""
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())]
        lines += [b"%s: %s" % header for header in self.headers if header[0] != b"upgrade"]
        return b"\r\n".join((*lines, b"\r\n"))

    def _wait_on(self) -> None:
        """Any byte ends uvicorn's wait for the next request, so also those of a body that nobody read."""
        if self.cycle is not None and self.cycle.response_complete and self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _close(self) -> None:
        self.transport.close()
        self._wait_for_reader()

    def _wait_for_reader(self) -> None:
        if self._unread_timer is None:
            self._unread_timer = self.loop.call_later(SLOW_READER_S, self.transport.abort)

    def _read_on(self) -> None:
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

    def _head_over(self) -> None:
        self._head_bytes = 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
