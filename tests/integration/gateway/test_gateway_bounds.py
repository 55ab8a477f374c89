"""What the gateway will not do without end: read a body, wait for an answer, work for someone who has left."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from gateways import BODY_LIMIT, HELLO, POST, gateway_here, problem, scripted_server, until
from nexttoken.v1 import next_token_pb2 as pb

from web_gateway.http.protocol import Clocks
from web_gateway.inference import call

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON = {"content-type": "application/json"}


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
    assert (await bounded.web.post("/api/next-token", content=sized(BODY_LIMIT), headers=JSON)).status_code == 200


@pytest.mark.parametrize("path", ["/api/next-token", "/api/score", "/api/models/load"])
async def test_a_body_past_the_limit(bounded: Any, path: str) -> None:
    declared = await bounded.web.post(path, content=b" " * (BODY_LIMIT + 1), headers=JSON)
    streamed = await bounded.web.post(path, content=sized(BODY_LIMIT + 1), headers=JSON)
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
        assert "timed out" in problem(answer, 504, "deadline_exceeded")
        await until(lambda: hanging.cancelled)


async def test_the_call_gets_the_time_that_is_left(bounded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[float] = []

    async def script(request: Any, context: Any) -> pb.TopKResponse:
        left.append(context.time_remaining())
        return pb.TopKResponse()

    bounded.service.script = script
    later = SimpleNamespace(monotonic=lambda: time.monotonic() + 580)
    monkeypatch.setattr(call, "time", later)  # the body took 580 s of the 600 s
    await bounded.web.post("/api/next-token", content=HELLO, headers=JSON)
    assert 0 < left[0] < 22  # gRPC rounds what it sends


@pytest.mark.parametrize(
    "request_line",
    [
        b"POST /api/next-token HTTP/1.1\r\n%s",
        b"POST /api/score HTTP/1.1\r\n%s",
        b"GET /api/models HTTP/1.1\r\nhost: localhost\r\n\r\n",
    ],
)
async def test_a_client_that_leaves_cancels_the_call(bounded: Any, request_line: bytes) -> None:
    hanging = bounded.service.script = Hanging()
    body = b"host: localhost\r\ncontent-type: application/json\r\ncontent-length: 14\r\n\r\n" + HELLO
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


async def test_a_body_may_take_longer_than_a_head() -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield HELLO[:5]
        await asyncio.sleep(0.6)
        yield HELLO[5:]

    async with scripted_server() as server, gateway_here(server.target, clocks=Clocks(body=600, head=0.3)) as gateway:
        server.service.script = answers
        assert (await gateway.web.post("/api/next-token", content=slow(), headers=JSON)).status_code == 200
