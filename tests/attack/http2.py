"""HTTP/2 frames over bare sockets, for what no gRPC client would send. Headers go uncompressed; none are read."""

import contextlib
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from attack.raw import PATIENCE_S, connected, send
from attack.tiers import Address

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS, ACK = 1, 4, 1
MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE = 3, 4  # settings
CANCEL = 8
TOP_K = "/nexttoken.v1.NextTokenService/TopK"
WATCH_MODELS = "/nexttoken.v1.NextTokenService/WatchModels"
Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Frame:
    """One frame as it came."""

    kind: int
    flags: int
    stream: int
    payload: bytes


@dataclass
class Peer:
    """One HTTP/2 connection whose every frame the test decides."""

    connection: socket.socket
    closed: bool = False
    polite: bool = True
    """Answers pings, without which the server ends the connection after some seconds."""
    _heard: bytearray = field(default_factory=bytearray)
    _next: int = 1

    def send(self, *frames: bytes) -> bool:
        """Whether the frames could be sent."""
        self.closed = self.closed or not send(self.connection, b"".join(frames))
        return not self.closed

    @property
    def uses(self) -> int:
        """Streams used so far."""
        return self._next // 2

    def stream(self) -> int:
        """The id of a stream that was not used yet."""
        self._next += 2
        return self._next - 2

    def hear(self, patience_s: float = 0.0) -> list[Frame]:
        """Frames that have come, or come within that time; stops at the first pause after some came."""
        limit = time.monotonic() + patience_s
        frames: list[Frame] = []
        while not self.closed:
            self.connection.settimeout(max(0.001, limit - time.monotonic()) if not frames else 0.05)
            try:
                piece = self.connection.recv(65536)
            except TimeoutError:
                break
            except OSError:
                piece = b""
            self.closed = not piece
            self._heard += piece
            fresh = list(self._whole())
            frames += fresh
            pings = [each.payload for each in fresh if each.kind == PING and not each.flags & ACK]
            if pings and self.polite:
                self.send(*(frame(PING, ACK, 0, payload) for payload in pings))
        return frames

    def closes(self, patience_s: float = PATIENCE_S) -> bool:
        """Whether the server ends the connection in that time."""
        limit = time.monotonic() + patience_s
        while not self.closed and (left := limit - time.monotonic()) > 0:
            self.hear(left)
        return self.closed

    def _whole(self) -> Iterator[Frame]:
        while len(self._heard) >= 9:
            length = int.from_bytes(self._heard[:3], "big")
            if len(self._heard) < 9 + length:
                return
            kind, flags, stream = struct.unpack(">BBI", self._heard[3:9])
            payload = bytes(self._heard[9 : 9 + length])
            del self._heard[: 9 + length]
            yield Frame(kind, flags, stream & 0x7FFFFFFF, payload)


@contextlib.contextmanager
def speaking(address: Address, settings: Sequence[tuple[int, int]] = (), source: str = "127.0.0.1") -> Iterator[Peer]:
    """A connection past both sides' settings; the server's window is its 4 MiB by then."""
    with connected(address, source) as connection:
        peer = Peer(connection)
        peer.send(PREFACE, frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", *pair) for pair in settings)))
        peer.hear(PATIENCE_S)
        peer.send(frame(SETTINGS, ACK, 0))
        yield peer


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A frame's bytes, right or wrong."""
    return len(payload).to_bytes(3, "big") + struct.pack(">BBI", kind, flags, stream) + payload


def call(stream: int, path: str = TOP_K, extra: Pairs = (), flags: int = END_HEADERS) -> bytes:
    """The headers that begin a gRPC call."""
    pairs = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "localhost")]
    pairs += [("content-type", "application/grpc"), ("te", "trailers"), *extra]
    return frame(HEADERS, flags, stream, header_block(pairs))


def message(stream: int, payload: bytes, compressed: bool = False, flags: int = END_STREAM) -> bytes:
    """A gRPC message in DATA frames, the last with `flags`."""
    data = struct.pack(">BI", compressed, len(payload)) + payload
    pieces = [data[at : at + 16384] for at in range(0, len(data), 16384)]
    return b"".join(frame(DATA, flags if piece is pieces[-1] else 0, stream, piece) for piece in pieces)


def reset(stream: int, code: int = CANCEL) -> bytes:
    """Takes a stream back."""
    return frame(RST_STREAM, 0, stream, code.to_bytes(4, "big"))


def window(stream: int, bytes_: int) -> bytes:
    """Lets the server send so much more."""
    return frame(WINDOW_UPDATE, 0, stream, bytes_.to_bytes(4, "big"))


def header_block(pairs: Pairs) -> bytes:
    """Headers in HPACK, each a literal that is not indexed."""
    return b"".join(b"\x00" + text(name) + text(value) for name, value in pairs)


def text(value: str) -> bytes:
    """A string in HPACK, without Huffman's code."""
    data = value.encode("latin-1")
    return integer(len(data)) + data


def integer(value: int) -> bytes:
    """A number in HPACK with a prefix of seven bits."""
    if value < 127:
        return bytes([value])
    out, value = bytearray([127]), value - 127
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    return bytes(out) + bytes([value])
