"""Clients that read slowly, or not at all: who goes on reading is waited for, who stops is cut off."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from gateways import HELLO, POST, gateway_here, scripted_server, until
from nexttoken.v1 import next_token_pb2 as pb
from servers import PATIENCE_S

from web_gateway.http.protocol import Clocks

pytestmark = pytest.mark.asyncio(loop_scope="module")

LONG = 300_000  # bytes of an answer
UNREAD_S = 1.0
ASK = POST + b"content-length: 14\r\n\r\n" + HELLO


async def long_answer(request: Any, context: Any) -> pb.TopKResponse:
    return pb.TopKResponse(model="m" * LONG)


@contextlib.asynccontextmanager
async def answering() -> AsyncIterator[Any]:
    """A gateway that gives long answers, and a visitor whose connection holds little of them: `.visitor`, `.open`."""
    async with (
        scripted_server() as server,
        gateway_here(server.target, clocks=Clocks(body=600, unread=UNREAD_S), max_requests=1) as gateway,
        asyncio.timeout(PATIENCE_S),
    ):
        server.service.script = long_answer
        gateway.open = gateway.server.server_state.connections
        with socket.socket() as visitor:
            visitor.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            visitor.setblocking(False)
            await asyncio.get_running_loop().sock_connect(visitor, ("127.0.0.1", gateway.port))
            await until(lambda: len(gateway.open) == 1)
            transport = next(iter(gateway.open)).transport
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            gateway.visitor = visitor
            yield gateway


@pytest.mark.parametrize("last", [b"", b"connection: close\r\n"])
async def test_a_client_that_reads_slowly_gets_all_of_it(last: bytes) -> None:
    """What waits for it takes longer than the clock to read."""
    async with answering() as gateway:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(gateway.visitor, ASK.replace(b"content-length", last + b"content-length"))
        began, heard = loop.time(), b""
        while len(heard) < LONG:
            piece = await loop.sock_recv(gateway.visitor, 4096)
            assert piece, f"cut off after {len(heard)} bytes"
            heard += piece
            await asyncio.sleep(0.08)
        assert loop.time() - began > 4 * UNREAD_S
        assert heard.startswith(b"HTTP/1.1 200 ")


async def test_a_client_that_stops_reading_is_cut_off_and_its_place_is_free_again() -> None:
    async with answering() as gateway:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(gateway.visitor, ASK)
        heard = 0
        while heard < LONG // 4:
            heard += len(await loop.sock_recv(gateway.visitor, 4096))
        assert (await gateway.web.get("/api/models")).status_code == 429  # the one place is this client's
        await until(lambda: not any(each.client[1] == gateway.visitor.getsockname()[1] for each in gateway.open))
        assert (await gateway.web.post("/api/next-token", json={"text": "hi"})).status_code == 200


async def test_answers_that_pile_up_unread_are_cut_off() -> None:
    async with answering() as gateway:
        _, writer = await asyncio.open_connection("127.0.0.1", gateway.port, limit=1)
        gateway.visitor.close()
        for _ in range(2000):
            writer.write(b"GET /core/state.js HTTP/1.1\r\nhost: localhost\r\n\r\n")
        await until(lambda: not gateway.open)
        writer.transport.abort()
        assert (await gateway.web.get("/healthz")).status_code == 200
