"""What never ends over HTTP, from trailers to pipelines, is cut off, and nobody else notices."""

import contextlib
import socket
from collections.abc import Iterator

import httpx
import pytest
from gateways import gateway_process

from attack.guard import Guarded
from attack.raw import GET, POST, closes, connected, exchange, hear, pour, send
from attack.tiers import Address, Tiers

MB = 10**6
CHUNKED = GET + b"transfer-encoding: chunked\r\n\r\n"
ENDLESS = {
    "trailers": (CHUNKED + b"0\r\n", b"a:b\r\n"),
    "a trailer": (CHUNKED + b"0\r\na:", b"b"),
    "folded trailers": (CHUNKED + b"0\r\na:b\r\n", b" c\r\n"),
    "a chunk's extension": (CHUNKED + b"1;", b"a"),
    "a chunk's size": (CHUNKED, b"0"),
    "a path": (b"GET /", b"a"),
    "a method": (b"G", b"G"),
    "headers": (GET, b"a:b\r\n"),
    "a header": (GET + b"a:", b"b"),
    "a header's name": (GET, b"a"),
    "folded lines": (GET + b"a:b\r\n", b" c\r\n"),
    "an offered protocol": (GET + b"connection: upgrade\r\nupgrade: ", b"h2c,"),
}


def repeated(piece: bytes, size: int) -> Iterator[bytes]:
    block = piece * (65536 // len(piece))
    return (block for _ in range(size // len(block) + 1))


@pytest.mark.parametrize("name", ENDLESS)
def test_what_never_ends_is_refused_before_it_fills_the_memory(tiers: Tiers, watched: Guarded, name: str) -> None:
    first, piece = ENDLESS[name]
    for _ in range(3):
        with connected(tiers.http) as connection:
            assert send(connection, first)
            assert pour(connection, repeated(piece, 20 * MB)) < 20 * MB, "all of it was taken"
            with contextlib.suppress(OSError):
                assert hear(connection).closed


def test_a_refusal_of_trailers_is_in_the_one_shape(tiers: Tiers) -> None:
    with connected(tiers.http) as connection:
        send(connection, POST + b"transfer-encoding: chunked\r\n\r\n0\r\n" + b"a:b\r\n" * 1500)
        heard = hear(connection)
    assert (heard.statuses, heard.closed) == ([400], True)
    assert "trailers" in heard.answers[0].problem()["error"]


@pytest.mark.slow_attack
def test_requests_that_wait_for_an_endless_answer_are_not_read(tiers: Tiers, watched: Guarded) -> None:
    """A pipeline behind an event stream."""
    with contextlib.ExitStack() as stack:
        for _ in range(40):
            connection = stack.enter_context(connected(tiers.http))
            send(connection, GET.replace(b"/healthz", b"/api/models/events") + b"\r\n")
            connection.settimeout(0.2)
            pour(connection, repeated(GET + b"\r\n", 4 * MB))


def test_heads_with_as_many_headers_as_may_be_take_little(tiers: Tiers, watched: Guarded) -> None:
    head = GET.replace(b"/healthz", b"/api/models/events") + b"a:b\r\n" * 90 + b"\r\n"
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(connected(tiers.http)) for _ in range(200)]
        assert all(send(connection, head) for connection in connections)
        watched.visitor.more()
        assert exchange(tiers.http, GET + b"a:b\r\n" * 3000 + b"\r\n").statuses == [400]


def halves(stack: contextlib.ExitStack, address: Address, count: int, source: str) -> list[socket.socket]:
    connections = [stack.enter_context(connected(address, source)) for _ in range(count)]
    for connection in connections:
        send(connection, POST + b'content-length: 1000000\r\n\r\n{"text": "')
    return connections


def test_half_sent_questions_keep_nobody_out(tiers: Tiers, watched: Guarded) -> None:
    """As many as there are places; not even those who share the attacker's address notice."""
    with contextlib.ExitStack() as stack:
        halves(stack, tiers.http, 256, "127.0.0.1")
        watched.visitor.more()
        answer = tiers.web.post("/api/next-token", json={"text": "Once", "model": "bundled"})
        assert answer.status_code == 200


def test_long_half_sent_questions_share_a_bounded_memory(tiers: Tiers, watched: Guarded) -> None:
    with contextlib.ExitStack() as stack:
        for connection in halves(stack, tiers.http, 200, "127.0.0.3"):
            connection.settimeout(1.0)
            send(connection, b"a" * 900_000)
        watched.visitor.more()


def test_one_client_does_not_get_all_connections(tiers: Tiers, watched: Guarded) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(900):
            stack.enter_context(connected(tiers.http, "127.0.0.4"))
        watched.visitor.more()
        with connected(tiers.http, "127.0.0.4") as late:
            send(late, GET + b"\r\n")
            assert hear(late).answers == []


@pytest.mark.parametrize("path", [b"/", b"/api/models", b"/healthz", b"/metrics"])
def test_no_page_reaches_the_gateway_by_a_name_of_its_own(tiers: Tiers, path: bytes) -> None:
    def asked(host: bytes) -> list[int]:
        return exchange(tiers.http, b"GET " + path + b" HTTP/1.1\r\n" + host + b"connection: close\r\n\r\n").statuses

    assert asked(b"host: evil.example\r\n") == asked(b"host: localhost.evil.example:80\r\n") == [421]
    assert asked(b"") == asked(b"host: localhost\r\nhost: evil.example\r\n") == [400]
    assert asked(b"host: localhost:80\r\n") == [200]


@pytest.mark.parametrize("declared", [b"content-length: 1000000", b"transfer-encoding: chunked"])
@pytest.mark.parametrize("path", [b"/healthz", b"/api/models/events"])
def test_a_body_that_nobody_reads_has_its_time_too(path: bytes, declared: bytes) -> None:
    with gateway_process({"NEXTTOKEN_TIMEOUT_S": "1"}) as gateway:
        port = httpx.URL(gateway.url).port or 80
        with connected(("127.0.0.1", port)) as connection:
            send(connection, GET.replace(b"/healthz", path) + declared + b"\r\n\r\n")
            assert closes(connection)
