"""What of arriving bytes is a request: what h11 reads, less what two readers could understand differently."""

from typing import Any

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from web_gateway.http.framing import (
    HOST,
    LONG_BETWEEN,
    LONG_HEAD,
    MAX_FIELDS,
    NOT_HTTP,
    TWO_HOSTS,
    TWO_LENGTHS,
    Framing,
)

GET = b"GET /x HTTP/1.1\r\nhost: a\r\n"
CHUNKED = GET + b"transfer-encoding: chunked\r\n\r\n"


def arriving(data: bytes, step: int) -> list[bytes]:
    """So many bytes at once; where they become too many for a head at their end, all but the last at once."""
    begun = len(data) - 500 if step < 2**16 < len(data) else 0
    pieces = [data[:begun], *(data[at : at + step] for at in range(begun, len(data), step))]
    return [piece for piece in pieces if piece]


def events(data: bytes, step: int = 2**20) -> tuple[list[Any], str]:
    """What is read from bytes that arrive so many at once, and the words of a refusal."""
    framing, found = Framing(), list[Any]()
    for piece in arriving(data, step):
        framing.receive_data(piece)
        while True:
            try:
                event = framing.next_event()
            except h11.RemoteProtocolError:
                return found, framing.fault
            if event in (h11.NEED_DATA, h11.PAUSED):
                break
            found.append(event)
            if isinstance(event, h11.EndOfMessage):
                framing.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
                framing.send(h11.EndOfMessage())
                if framing.our_state is h11.DONE:
                    framing.start_next_cycle()
    return found, ""


def targets(data: bytes, step: int = 2**20) -> list[bytes]:
    found, fault = events(data, step)
    assert fault == ""
    return [event.target for event in found if isinstance(event, h11.Request)]


@pytest.mark.parametrize("step", [1, 3, 1000])
def test_requests_follow_one_another_with_empty_lines_in_between(step: int) -> None:
    body = b"POST /y HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nab\r\n\r\n"
    assert targets(b"\r\n\r\n" + GET + b"\r\n" + body + GET + b"\r\n", step) == [b"/x", b"/y", b"/x"]


@pytest.mark.parametrize("step", [1, 1000])
def test_a_body_is_read_after_an_offer_of_another_protocol(step: int) -> None:
    offer = b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\ncontent-length: 2\r\n\r\nab"
    found, _ = events(GET + offer, step)
    assert b"".join(event.data for event in found if isinstance(event, h11.Data)) == b"ab"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", HOST),
        (GET + b"host: a\r\n\r\n", HOST),
        (b"GET / HTTP/1.0\r\nhost: a\r\nhost: a\r\n\r\n", HOST),
        (GET + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n", TWO_LENGTHS),
        (b"GET / HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n", NOT_HTTP),
        (b"PRI * HTTP/2.0\r\n\r\n", NOT_HTTP),
        (b"GET http://b/ HTTP/1.1\r\nhost: a\r\n\r\n", TWO_HOSTS),
        (GET + b"x: y\r\n" * MAX_FIELDS + b"\r\n", LONG_HEAD),
        (GET + b"x: y\r\n" * (MAX_FIELDS + 1), LONG_HEAD),
        (GET + b"x: " + b"y" * 2**16 + b"\r\n\r\n", LONG_HEAD),
        (b"GET /" + b"y" * 2**16, LONG_HEAD),
        (GET + b"x: y\r\n y\r\n\r\n", NOT_HTTP),
        (GET + b"content-length:\r\n\t1\r\n\r\n", NOT_HTTP),
        (CHUNKED + b"1;" + b"a" * 5000, LONG_BETWEEN),
        (CHUNKED + b"0\r\n" + b"a:b\r\n" * 1000, LONG_BETWEEN),
        (CHUNKED + b"0\r\na:" + b"b" * 5000, LONG_BETWEEN),
        (CHUNKED + b"z\r\n", NOT_HTTP),
        (CHUNKED + b"1;a\rb\r\nc\r\n0\r\n\r\n", NOT_HTTP),
        (CHUNKED + b"1;a\nb\r\nc\r\n0\r\n\r\n", NOT_HTTP),
        (CHUNKED + b"1\r\na\r\n1;a\rb\r\nc\r\n0\r\n\r\n", NOT_HTTP),
        (CHUNKED + b"10000000000000001\r\na\r\n0\r\n\r\n", NOT_HTTP),
        (CHUNKED + b"\r\n1\r\na\r\n0\r\n\r\n", NOT_HTTP),
        (GET + b"x y: z\r\n\r\n", NOT_HTTP),
    ],
)
@pytest.mark.parametrize("step", [1, 2**20])
def test_what_is_refused(data: bytes, words: str, step: int) -> None:
    found, fault = events(data, step)
    assert fault == words
    assert not [event for event in found if isinstance(event, h11.EndOfMessage)]


def test_what_is_within_the_bounds_is_read() -> None:
    assert targets(GET + b"x: y\r\n" * (MAX_FIELDS - 1) + b"\r\n") == [b"/x"]
    assert targets(GET + b"x: " + b"y" * 65_000 + b"\r\n\r\n") == [b"/x"]
    assert targets(CHUNKED + b"1;" + b"a" * 4000 + b"\r\nb\r\n0\r\n" + b"a:b\r\n" * 700 + b"\r\n") == [b"/x"]
    assert targets(b"GET / HTTP/1.0\r\n\r\n") == [b"/"]


@pytest.mark.parametrize(("given", "path"), [(b"http://a/y?z", b"/y?z"), (b"https://a", b"/"), (b"//a/y", b"//a/y")])
def test_a_whole_address_means_its_path(given: bytes, path: bytes) -> None:
    assert targets(b"GET " + given + b" HTTP/1.1\r\nhost: a\r\n\r\n") == [path]


def test_what_the_client_has_yet_to_finish() -> None:
    framing = Framing()
    assert framing.open_part == (0, "head")
    framing.receive_data(GET + b"content-length: 1\r\n\r\n")
    framing.next_event()
    assert (framing.open_part, framing.takes_more) == ((1, "body"), True)
    framing.receive_data(b"a")
    framing.next_event()
    framing.next_event()
    assert (framing.open_part, framing.takes_more) == ((1, ""), False)


@given(
    st.lists(
        st.one_of(
            st.sampled_from(
                [GET, CHUNKED, b"\r\n", b"0\r\n\r\n", b"1\r\na\r\n", b"content-length: 1\r\n", b" x\r\n", b"\n"]
            ),
            st.binary(max_size=20),
        )
    ),
    st.integers(1, 50),
)
def test_any_bytes_are_read_or_refused_alike_in_whatever_pieces(parts: list[bytes], step: int) -> None:
    data = b"".join(parts)
    whole, pieces = (
        [(event.method, event.target, list(event.headers)) for event in found if isinstance(event, h11.Request)]
        for found, _ in (events(data), events(data, step))
    )
    assert whole == pieces
