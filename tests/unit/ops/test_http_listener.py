"""One request a connection, over a real socket. Under attack: tests/attack/test_metrics_port.py."""

import contextlib
import http.client
import socket
from collections.abc import Iterator

import pytest

from inference_server.ops.http_listener import HEAD_BYTES, HttpListener, Request, Response


async def echo(request: Request) -> Response:
    if request.target == "/broken":
        raise LookupError("a fault of ours")
    return Response(200, "text/plain", f"{request.method} {request.target} {' '.join(request.hosts)}".encode())


@pytest.fixture
def listener() -> Iterator[HttpListener]:
    listener = HttpListener(echo)
    listener.start("127.0.0.1", 0)
    yield listener
    listener.stop()


def raw(listener: HttpListener, sent: bytes) -> bytes:
    """All that comes back until the connection ends."""
    with socket.create_connection(("127.0.0.1", listener.port), 60) as connection:
        connection.sendall(sent)
        heard = b""
        while more := connection.recv(1 << 16):
            heard += more
    return heard


def test_a_request_is_answered_and_its_connection_ends(listener: HttpListener) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", listener.port, timeout=60)
    connection.request("GET", "/a?b", headers={"host": "here"})
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, b"GET /a?b here")
    assert answer.headers["connection"] == "close"
    assert answer.headers["x-content-type-options"] == "nosniff"
    connection.close()


def test_a_head_is_answered_without_a_body(listener: HttpListener) -> None:
    head, _, body = raw(listener, b"HEAD /a HTTP/1.1\r\nhost: here\r\n\r\n").partition(b"\r\n\r\n")
    assert b"content-length: 12" in head
    assert body == b""


def test_a_second_request_on_a_connection_is_not_read(listener: HttpListener) -> None:
    assert raw(listener, b"GET /a HTTP/1.1\r\nhost: here\r\n\r\n" * 2).count(b"HTTP/1.1 200") == 1


@pytest.mark.parametrize(
    "sent", [b"nonsense\r\n\r\n", b"GET /a HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nx: " + b"a" * 2 * HEAD_BYTES]
)
def test_what_is_no_request_is_refused(listener: HttpListener, sent: bytes) -> None:
    assert raw(listener, sent).startswith(b"HTTP/1.1 4")


def test_a_fault_ends_its_connection_alone(listener: HttpListener) -> None:
    assert raw(listener, b"GET /broken HTTP/1.1\r\nhost: here\r\n\r\n") == b""
    assert raw(listener, b"GET /a HTTP/1.1\r\nhost: here\r\n\r\n").startswith(b"HTTP/1.1 200")


def test_stopping_closes_the_port(listener: HttpListener) -> None:
    with socket.create_connection(("127.0.0.1", listener.port), 60) as waiting:
        raw(listener, b"GET /a HTTP/1.1\r\nhost: here\r\n\r\n")  # answered, so the one before it was taken too
        listener.stop()
        with contextlib.suppress(ConnectionResetError):  # where it was not accepted yet
            assert waiting.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", listener.port), 60)
