"""What the gateway will not do without end: read a body, wait for an answer, work for someone who has left."""

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
from gateways import NOWHERE, gateway_here, problem, scripted_server, until
from nexttoken.v1 import next_token_pb2 as pb
from servers import PATIENCE_S

from web_gateway import client, protocol

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIMIT = 1000
JSON = {"content-type": "application/json"}
HELLO = b'{"text": "hi"}'
POST = b"POST /api/next-token HTTP/1.1\r\nhost: here\r\ncontent-type: application/json\r\n"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bounded() -> AsyncIterator[Any]:
    """A gateway that reads short bodies, and a server that tells of its calls."""
    async with scripted_server() as server, gateway_here(server.target, max_body_bytes=LIMIT, timeout_s=600) as gateway:
        yield SimpleNamespace(**vars(gateway), service=server.service)


async def answers(request: Any, context: Any) -> pb.TopKResponse:
    return pb.TopKResponse(model="m")


class Hanging:
    """A script that never answers and knows whether it was cancelled."""

    def __init__(self) -> None:
        self.begun = self.cancelled = False

    async def __call__(self, request: Any, context: Any) -> None:
        self.begun = True
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise


async def sized(size: int, chunk: int = 100) -> AsyncIterator[bytes]:
    """A valid body of a size, in chunks and without a declared length."""
    body = json.dumps({"text": "a" * (size - len(json.dumps({"text": ""})))}).encode()
    for at in range(0, size, chunk):
        yield body[at : at + chunk]


async def test_a_body_of_the_limit_is_read(bounded: Any) -> None:
    bounded.service.script = answers
    assert (await bounded.web.post("/api/next-token", content=sized(LIMIT), headers=JSON)).status_code == 200


@pytest.mark.parametrize("path", ["/api/next-token", "/api/score", "/api/models/load"])
async def test_a_body_past_the_limit(bounded: Any, path: str) -> None:
    declared = await bounded.web.post(path, content=b" " * (LIMIT + 1), headers=JSON)
    streamed = await bounded.web.post(path, content=sized(LIMIT + 1), headers=JSON)
    for answer in (declared, streamed):
        assert "longer than the 1,000 bytes" in problem(answer, 413, "payload_too_large")


async def test_a_body_without_end_is_refused_while_it_is_sent(bounded: Any) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", bounded.port)
    writer.write(POST + b"transfer-encoding: chunked\r\n\r\n")
    reading = asyncio.create_task(reader.readuntil(b"payload_too_large"))
    while not reading.done():
        writer.write(b"64\r\n" + b"a" * 100 + b"\r\n")
        await writer.drain()
    assert (await reading).startswith(b"HTTP/1.1 413 ")
    writer.close()


async def test_a_long_declared_body_is_not_asked_for(bounded: Any) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", bounded.port)
    writer.write(POST + b"content-length: 999999999999\r\nexpect: 100-continue\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
    writer.close()


@pytest.mark.parametrize("declared", ["content-length: 5", "content-length: 500"])
async def test_a_length_that_lies_harms_nobody(bounded: Any, declared: str) -> None:
    bounded.service.script = answers
    _, writer = await asyncio.open_connection("127.0.0.1", bounded.port)
    writer.write(POST + declared.encode() + b"\r\n\r\n" + HELLO)
    writer.write_eof()
    writer.close()
    assert (await bounded.web.post("/api/next-token", content=HELLO, headers=JSON)).status_code == 200


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonp", ""],
)
async def test_a_body_that_is_not_declared_as_json(bounded: Any, kind: str) -> None:
    answer = await bounded.web.post("/api/next-token", content=HELLO, headers={"content-type": kind} if kind else {})
    assert "Content-Type: application/json" in problem(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=utf-8", "application/json;"])
async def test_a_body_that_is(bounded: Any, kind: str) -> None:
    bounded.service.script = answers
    answer = await bounded.web.post("/api/next-token", content=HELLO, headers={"content-type": kind})
    assert answer.status_code == 200


async def test_a_body_that_does_not_come() -> None:
    async with scripted_server() as server, gateway_here(server.target, timeout_s=0.2) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(POST + b"content-length: 14\r\n\r\n" + HELLO[:5])
        assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")
        assert b"request_timeout" in await reader.readuntil(b"}")
        writer.close()


async def test_an_answer_that_does_not_come() -> None:
    hanging = Hanging()
    async with scripted_server() as server, gateway_here(server.target, timeout_s=0.2) as gateway:
        server.service.script = hanging
        answer = await gateway.web.post("/api/next-token", json={"text": "hi"})
        assert "longer than this server waits" in problem(answer, 504, "deadline_exceeded")
        await until(lambda: hanging.cancelled)


async def test_the_call_gets_the_time_that_is_left(bounded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[float] = []

    async def script(request: Any, context: Any) -> pb.TopKResponse:
        left.append(context.time_remaining())
        return pb.TopKResponse()

    bounded.service.script = script
    later = SimpleNamespace(monotonic=lambda: time.monotonic() + 580)
    monkeypatch.setattr(client, "time", later)  # the body took 580 s of the 600 s
    await bounded.web.post("/api/next-token", content=HELLO, headers=JSON)
    assert 0 < left[0] < 22  # gRPC rounds what it sends


@pytest.mark.parametrize(
    "request_line",
    [
        b"POST /api/next-token HTTP/1.1\r\n%s",
        b"POST /api/score HTTP/1.1\r\n%s",
        b"GET /api/models HTTP/1.1\r\nhost: here\r\n\r\n",
    ],
)
async def test_a_client_that_leaves_cancels_the_call(bounded: Any, request_line: bytes) -> None:
    hanging = bounded.service.script = Hanging()
    body = b"host: here\r\ncontent-type: application/json\r\ncontent-length: 14\r\n\r\n" + HELLO
    _, writer = await asyncio.open_connection("127.0.0.1", bounded.port)
    writer.write(request_line % body if b"%s" in request_line else request_line)
    await until(lambda: hanging.begun)
    assert not hanging.cancelled
    writer.close()
    await until(lambda: hanging.cancelled)
    bounded.service.script = answers
    assert (await bounded.web.post("/api/next-token", content=HELLO, headers=JSON)).status_code == 200


async def test_a_client_that_stays_is_not_cut_off(bounded: Any) -> None:
    """Bytes sent early, as a pipelining client does, are no goodbye."""
    bounded.service.script = answers
    reader, writer = await asyncio.open_connection("127.0.0.1", bounded.port)
    request = POST + b"content-length: 14\r\n\r\n" + HELLO
    writer.write(request + request)
    for _ in range(2):
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        await reader.readuntil(b"\r\n\r\n")
        await reader.readuntil(b"}}")
    writer.close()


async def test_a_client_that_leaves_in_the_middle_of_its_body(bounded: Any) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", bounded.port)
    writer.write(POST + b"content-length: 14\r\n\r\n" + HELLO[:5])
    await writer.drain()
    writer.transport.abort()
    bounded.service.script = answers
    assert (await bounded.web.post("/api/next-token", content=HELLO, headers=JSON)).status_code == 200


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
    sent = (POST + OFFER + body) * 2 + POST + body + b"GET /healthz HTTP/1.1\r\nhost: here\r\n" + OFFER + b"\r\n"
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
    writer.write(b"CONNECT / HTTP/1.1\r\nhost: here\r\n" + OFFER + b"\r\n")
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
    "start", [b"GET /", b"GET / HTTP/1.1\r\nhost: here\r\nx: ", b"GET / HTTP/1.1\r\nhost: here\r\n"]
)
async def test_a_head_that_is_too_long(bounded: Any, start: bytes) -> None:
    rest = b"a" * 70_000 if start.endswith((b"/", b" ")) else b"x: y\r\n" * 12_000
    assert "longer than 65,536 bytes" in await refused_head(bounded.port, start + rest)


async def test_a_long_head_that_is_not_too_long(bounded: Any) -> None:
    headers = {f"x-{at}": "y" * 1000 for at in range(50)}
    assert (await bounded.web.get("/healthz", headers=headers)).status_code == 200


@pytest.mark.parametrize("start", [b"", b"GET / HT", b"GET /healthz HTTP/1.1\r\nhost: here\r\n\r\nGET /"])
async def test_a_head_that_never_ends(bounded: Any, monkeypatch: pytest.MonkeyPatch, start: bytes) -> None:
    monkeypatch.setattr(protocol, "HEAD_S", 0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", bounded.port)
    writer.write(start)
    async with asyncio.timeout(PATIENCE_S):
        answered = await reader.read()
    assert answered.count(b"HTTP/1.1") == start.count(b"healthz")
    writer.close()


@pytest.mark.parametrize(
    ("head", "late"),
    [
        (b"GET /healthz HTTP/1.1\r\nhost: here\r\n\r\n", b""),
        (b"GET /healthz HTTP/1.1\r\nhost: here\r\n\r\n", b"\r\n"),
        (b"GET /healthz HTTP/1.1\r\nhost: here\r\ncontent-length: 9\r\n\r\n", b"a"),
        (POST + b"content-length: 1001\r\n\r\n", b"a"),
        (POST + b"content-length: 1001\r\n\r\n", b"a" * 1001),
        (POST + b"content-length: 1001\r\n\r\n", b"a" * 1001 + b"\r\n"),
    ],
)
async def test_a_connection_whose_request_is_answered_ends(
    monkeypatch: pytest.MonkeyPatch, head: bytes, late: bytes
) -> None:
    """Whatever still comes that is no other request."""
    monkeypatch.setattr("web_gateway.server.IDLE_S", 0.2)
    async with gateway_here(NOWHERE, max_body_bytes=LIMIT) as gateway, asyncio.timeout(PATIENCE_S):
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
    monkeypatch.setattr("web_gateway.server.IDLE_S", 0.2)
    monkeypatch.setattr(protocol, "HEAD_S", 0.2)
    monkeypatch.setattr(protocol, "SLOW_READER_S", 0.2)
    async with gateway_here(NOWHERE) as gateway, asyncio.timeout(PATIENCE_S):
        loop, open_now = asyncio.get_running_loop(), gateway.server.server_state.connections
        with socket.socket() as visitor:
            visitor.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            visitor.setblocking(False)
            await loop.sock_connect(visitor, ("127.0.0.1", gateway.port))
            await until(lambda: len(open_now) == 1)
            transport = next(iter(open_now)).transport
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            while not transport.get_write_buffer_size():
                await loop.sock_sendall(visitor, b"GET /healthz HTTP/1.1\r\nhost: here\r\n\r\n")
                await asyncio.sleep(0.01)
            await loop.sock_sendall(visitor, b"GET /healthz HTTP/1.1\r\nhost: here\r\n" + last)
            await until(lambda: not open_now)


async def test_a_body_may_take_longer_than_a_head(bounded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_S", 0.1)
    bounded.service.script = answers

    async def slow() -> AsyncIterator[bytes]:
        yield HELLO[:5]
        await asyncio.sleep(0.3)
        yield HELLO[5:]

    assert (await bounded.web.post("/api/next-token", content=slow(), headers=JSON)).status_code == 200
