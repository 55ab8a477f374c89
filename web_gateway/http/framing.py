"""Where requests begin and end: h11's reading, within bounds that it lacks. Knows no socket, no clock and no app."""

import math
import re

import h11

MAX_HEAD_BYTES = 2**16  # request line and headers; a browser's are below 8 KiB
MAX_FIELDS = 100  # headers of a request; each takes some 300 bytes of memory, however short it is
MAX_BETWEEN_BYTES = 2**12  # between the bytes of a chunked body, and after them: sizes, extensions, trailers
BLANK_LINE = re.compile(rb"\n\r?\n")  # as h11 ends a head
FOLDED = re.compile(rb"\n[ \t]")  # a line that goes on, which others take for one of its own or drop
CHUNK_LINE = re.compile(rb"[0-9A-Fa-f]{1,16}[ \t]*(;[^\r\n\0]*)?")  # a size of 64 bits, and extensions

NOT_HTTP = "What arrived is no HTTP/1.1 request."
LONG_HEAD = f"The request's path and headers are longer than {MAX_HEAD_BYTES:,} bytes or {MAX_FIELDS} headers."
LONG_BETWEEN = f"The body's chunks have a size, extension or trailers longer than {MAX_BETWEEN_BYTES:,} bytes."
TWO_LENGTHS = "The request says twice how long its body is: send Content-Length or Transfer-Encoding, and not both."
HOST = "A request needs one Host header, and not two."
TWO_HOSTS = "The request names one host in its address and another in its Host header."
WORDS = {
    "Missing mandatory Host: header": HOST,
    "Found multiple Host: headers": HOST,
    "Receive buffer too long": LONG_HEAD,
}


class Refused(h11.RemoteProtocolError):
    """What h11 would read, and we don't; the message can be shown."""


class Framing(h11.Connection):
    """The server's side of one connection. `fault` says in words why what arrived is no request."""

    def __init__(self) -> None:
        super().__init__(h11.SERVER, MAX_HEAD_BYTES)
        self.fault = NOT_HTTP
        self.requests = 0
        self.chunked = False
        """Whether the newest request has a body in chunks."""
        self.interrupted = False
        """Whether the events that were allowed are spent and there may be more."""
        self._allowed: float = math.inf
        self._begun = False
        self._size_is_next = False

    @property
    def open_part(self) -> tuple[int, str]:
        """What the client has yet to finish: the number of its request, and `head`, `body` or nothing."""
        if self.their_state is h11.SEND_BODY:
            return self.requests, "body"
        begun = self.their_state is h11.IDLE and (self._begun or not self.requests)
        return self.requests, "head" if begun else ""

    @property
    def takes_more(self) -> bool:
        """Whether bytes are part of a request now; else they wait until the last one is answered."""
        return self.their_state in (h11.IDLE, h11.SEND_BODY)

    def allow(self, events: int) -> None:
        """So many events from now on; then `next_event` says that it needs data, and `interrupted` is set."""
        self._allowed = events
        self.interrupted = False

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """As h11's. Raises h11.RemoteProtocolError, and then `fault` has the words."""
        if not self._allowed:
            self.interrupted = True
            return h11.NEED_DATA
        self._allowed -= 1
        try:
            if self.their_state is h11.IDLE:
                self._check_head()
            elif self._size_is_next:
                self._check_size()
            event = super().next_event()
            if isinstance(event, h11.Request):
                self.requests += 1
                self._begun = False
                event = checked(event)
                self.chunked = self._size_is_next = (b"transfer-encoding", b"chunked") in event.headers
            elif isinstance(event, h11.Data):
                self._size_is_next = event.chunk_end
            elif event is h11.NEED_DATA and self.their_state is h11.SEND_BODY:
                self._check_between()
        except h11.RemoteProtocolError as error:
            self.fault = str(error) if isinstance(error, Refused) else WORDS.get(str(error), NOT_HTTP)
            raise
        return event

    def _check_head(self) -> None:
        """Before h11 makes anything of it. Empty lines before a request are skipped, as RFC 9112 asks."""
        data = self.trailing_data[0]
        if not self._begun:
            waiting = data.lstrip(b"\r\n")
            self._receive_buffer.maybe_extract_at_most(len(data) - len(waiting))
            self._begun, data = bool(waiting), waiting
        end = BLANK_LINE.search(data)
        length = end.end() if end else len(data)
        lines = data.count(b"\n", 0, length)
        if FOLDED.search(data, 0, length):
            raise Refused(NOT_HTTP)
        if length > MAX_HEAD_BYTES or lines > MAX_FIELDS + 2:  # the request's own line and the blank one
            raise Refused(LONG_HEAD)

    def _check_size(self) -> None:
        """Of a chunk whose line is whole: h11 takes any length of it and drops what follows, whatever that is."""
        line, ended, _ = self.trailing_data[0].lstrip(b"\r\n").partition(b"\r\n")
        if ended and not CHUNK_LINE.fullmatch(line):
            raise Refused(NOT_HTTP)
        self._size_is_next = not ended

    def _check_between(self) -> None:
        """What h11 keeps of a body is what it can't read yet."""
        if len(self.trailing_data[0]) > MAX_BETWEEN_BYTES:
            raise Refused(LONG_BETWEEN)


def checked(request: h11.Request) -> h11.Request:
    """The request, by its path alone. Raises Refused where two readers could take it for two different ones."""
    headers = dict(request.headers)
    if b"transfer-encoding" in headers and b"content-length" in headers:
        raise Refused(TWO_LENGTHS)
    if request.http_version != b"1.1" and (request.http_version != b"1.0" or b"transfer-encoding" in headers):
        raise Refused(NOT_HTTP)
    if not request.target.startswith((b"http://", b"https://")):
        return request
    host, slash, path = request.target.partition(b"//")[2].partition(b"/")
    if host != headers.get(b"host"):
        raise Refused(TWO_HOSTS)
    return h11.Request(
        method=request.method, target=slash + path or b"/", headers=request.headers, http_version=request.http_version
    )
