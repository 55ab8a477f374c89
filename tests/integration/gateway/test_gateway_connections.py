"""Connections, heads and packets: what the gateway makes of whatever arrives, and that each connection ends."""

import asyncio
import contextlib
import json
import socket
from typing import Any

import pytest
from gateways import BODY_LIMIT, HELLO, NOWHERE, POST, gateway_here, until
from nexttoken.v1 import next_token_pb2 as pb
from servers import PATIENCE_S

from web_gateway.http.protocol import Clocks

pytestmark = pytest.mark.asyncio(loop_scope="module")

OFFER = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAEAAEAAAAIAAAAB\r\n"


@pytest.mark.parametrize("step", [1, 50, 10_000])
@pytest.mark.parametrize(
    "body",
    [b"content-length: 14\r\n\r\n" + HELLO, b"transfer-encoding: chunked\r\n\r\ne\r\n" + HELLO + b"\r\n0\r\n\r\n"],
)
async def test_an_offer_of_another_protocol_is_not_taken_up(bounded: Any, body: bytes, step: int) -> None:
    """Java's client makes one with every request. Whatever piece of the request a packet holds, all of it is read."""
    asked: list[str] = []

    async def script(request: Any, context: Any) -> pb.TopKResponse:
        asked.append(request.text)
        return pb.TopKResponse(model="m")

    bounded.service.script = script
    reader, writer = await asyncio.open_connection("127.0.0.1", bounded.port)
    writer.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sent = (POST + OFFER + body) * 2 + POST + body + b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n" + OFFER + b"\r\n"
    for at in range(0, len(sent), step):
        writer.write(sent[at : at + step])
        await asyncio.sleep(0)
    async with asyncio.timeout(PATIENCE_S):
        for end in (b"}}", b"}}", b"}}", b"}"):
            assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
            await reader.readuntil(b"\r\n\r\n")
            await reader.readuntil(end)
    assert asked == ["hi"] * 3
    writer.close()


async def test_a_tunnel_is_refused(bounded: Any) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", bounded.port)
    writer.write(b"CONNECT / HTTP/1.1\r\nhost: localhost\r\n" + OFFER + b"\r\n")
    async with asyncio.timeout(PATIENCE_S):
        assert (await reader.readline()).startswith(b"HTTP/1.1 405 ")
    writer.close()


async def refused_head(port: int, head: bytes) -> str:
    """The words of the 400 that ends a connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head)
    answer = await reader.read()
    writer.close()
    top, _, body = answer.partition(b"\r\n\r\n")
    assert top.startswith(b"HTTP/1.1 400 ")
    assert f"content-length: {len(body)}".encode() in top
    told = json.loads(body)
    assert (set(told), told["code"]) == ({"error", "code"}, "invalid_argument")
    return str(told["error"])


@pytest.mark.parametrize(
    "head", [b"hello\r\n\r\n", b"GET / HTTP/9\r\n\r\n", b"\x16\x03\x01", b"GET /\xff HTTP/1.1\r\n\r\n"]
)
async def test_what_is_no_http(bounded: Any, head: bytes) -> None:
    assert "no HTTP/1.1 request" in await refused_head(bounded.port, head)


@pytest.mark.parametrize(
    "start", [b"GET /", b"GET / HTTP/1.1\r\nhost: localhost\r\nx: ", b"GET / HTTP/1.1\r\nhost: localhost\r\n"]
)
async def test_a_head_that_is_too_long(bounded: Any, start: bytes) -> None:
    rest = b"a" * 70_000 if start.endswith((b"/", b" ")) else b"x: y\r\n" * 12_000
    assert "longer than 65,536 bytes" in await refused_head(bounded.port, start + rest)


async def test_a_long_head_that_is_not_too_long(bounded: Any) -> None:
    headers = {f"x-{at}": "y" * 1000 for at in range(50)}
    assert (await bounded.web.get("/healthz", headers=headers)).status_code == 200


@pytest.mark.parametrize("start", [b"", b"GET / HT", b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\nGET /"])
async def test_a_head_that_never_ends(start: bytes) -> None:
    async with gateway_here(NOWHERE, clocks=Clocks(body=600, head=0.1)) as gateway, asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(start)
        answered = await reader.read()
        assert answered.count(b"HTTP/1.1") == start.count(b"healthz")
        writer.close()


@pytest.mark.parametrize("drop", [b"\r\n", b"x", b"x: y\r\n"])
async def test_neither_a_head_nor_empty_lines_that_go_on_for_ever_keep_a_connection(
    monkeypatch: pytest.MonkeyPatch, drop: bytes
) -> None:
    """Also after an answer, where any byte once began the wait for the next request anew."""
    monkeypatch.setattr("web_gateway.http.server.KEEP_ALIVE_S", 0.5)
    async with gateway_here(NOWHERE, clocks=Clocks(body=600, head=0.5)) as gateway, asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        await reader.readuntil(b"}")
        ended = asyncio.create_task(reader.read())
        while not ended.done():
            writer.write(drop)
            await asyncio.sleep(0.05)
        with contextlib.suppress(ConnectionError):
            assert await ended == b""
        writer.close()


@pytest.mark.parametrize("path", [b"/healthz", b"/", b"/api/models/events", b"/nowhere"])
@pytest.mark.parametrize("declared", [b"content-length: 1000000", b"transfer-encoding: chunked"])
async def test_a_body_that_nobody_reads_ends_too(path: bytes, declared: bytes) -> None:
    async with gateway_here(NOWHERE, clocks=Clocks(body=0.5)) as gateway, asyncio.timeout(PATIENCE_S):
        open_now = gateway.server.server_state.connections
        _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(b"POST " if path == b"/nowhere" else b"GET ")
        writer.write(path + b" HTTP/1.1\r\nhost: localhost\r\n" + declared + b"\r\n\r\n")
        await until(lambda: len(open_now) == 1)
        while open_now:
            writer.write(b"1\r\na\r\n" if b"chunked" in declared else b"a")
            await asyncio.sleep(0.05)
        writer.close()


@pytest.mark.parametrize(
    ("head", "late"),
    [
        (b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n", b""),
        (b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n", b"\r\n"),
        (b"GET /healthz HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n", b"a"),
        (POST + b"content-length: 1001\r\n\r\n", b"a"),
        (POST + b"content-length: 1001\r\n\r\n", b"a" * 1001),
        (POST + b"content-length: 1001\r\n\r\n", b"a" * 1001 + b"\r\n"),
    ],
)
async def test_a_connection_whose_request_is_answered_ends(
    monkeypatch: pytest.MonkeyPatch, head: bytes, late: bytes
) -> None:
    """Whatever still comes that is no other request."""
    monkeypatch.setattr("web_gateway.http.server.KEEP_ALIVE_S", 0.5)
    async with gateway_here(NOWHERE, max_body_bytes=BODY_LIMIT) as gateway, asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(head)
        await reader.readuntil(b"}")
        writer.write(late)
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()


@pytest.mark.parametrize(
    "last", [b"connection: close\r\n\r\n", b"\r\n", b""], ids=["told to close", "idle", "half a head"]
)
async def test_an_answer_that_nobody_reads_keeps_no_connection(monkeypatch: pytest.MonkeyPatch, last: bytes) -> None:
    """Too little for the server to wait with more: a close alone would wait for the reader for ever."""
    monkeypatch.setattr("web_gateway.http.server.KEEP_ALIVE_S", 0.5)
    async with (
        gateway_here(NOWHERE, clocks=Clocks(body=600, head=0.5, unread=0.5)) as gateway,
        asyncio.timeout(PATIENCE_S),
    ):
        loop, open_now = asyncio.get_running_loop(), gateway.server.server_state.connections
        with socket.socket() as visitor:
            visitor.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            visitor.setblocking(False)
            await loop.sock_connect(visitor, ("127.0.0.1", gateway.port))
            await until(lambda: len(open_now) == 1)
            transport = next(iter(open_now)).transport
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            while not transport.get_write_buffer_size():
                await loop.sock_sendall(visitor, b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
                await asyncio.sleep(0.01)
            await loop.sock_sendall(visitor, b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n" + last)
            await until(lambda: not open_now)
