"""What one client may take from the others: places, connections and memory, told by the address it asks from."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from gateways import HELLO, NOWHERE, POST, gateway_here, problem, sample, scripted_server, until
from nexttoken.v1 import next_token_pb2 as pb
from servers import PATIENCE_S

from service_kit.settings import Network

pytestmark = pytest.mark.asyncio(loop_scope="module")

LOOPBACK = (Network("127.0.0.0/8"),)
JSON = {"content-type": "application/json"}
MIB = 2**20


class Waiting:
    """A script whose calls wait to be let go."""

    def __init__(self) -> None:
        self.begun = 0
        self.free = asyncio.Event()

    async def __call__(self, request: Any, context: Any) -> pb.TopKResponse:
        self.begun += 1
        await self.free.wait()
        return pb.TopKResponse(model="m")


@contextlib.asynccontextmanager
async def answering(**settings: Any) -> AsyncIterator[Any]:
    """A gateway whose inference server waits: `.calls`."""
    async with scripted_server() as server, gateway_here(server.target, **settings) as gateway:
        gateway.calls = server.service.script = Waiting()
        yield gateway


async def ask(gateway: Any, address: str, body: bytes = HELLO) -> httpx.Response:
    headers = {**JSON, "x-forwarded-for": address}
    answer: httpx.Response = await gateway.web.post("/api/next-token", content=body, headers=headers)
    return answer


async def refused(gateway: Any, reason: str) -> float:
    return sample((await gateway.web.get("/metrics")).text, "nexttoken_gateway_refusals_total", reason=reason)


async def half_sent(gateway: Any, source: str = "127.0.0.1", body: bytes = b"{", length: int = MIB) -> Any:
    """The writer of a connection on which a question has begun."""
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.port, local_addr=(source, 0))
    writer.write(POST + b"content-length: %d\r\n\r\n" % length + body)
    await writer.drain()
    return writer


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    """Waits for something that must happen."""
    async with asyncio.timeout(PATIENCE_S):
        while not await holds():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_question_that_has_not_arrived_takes_no_place() -> None:
    async with answering(max_requests=2) as gateway, asyncio.timeout(PATIENCE_S):
        gateway.calls.free.set()
        halves = [await half_sent(gateway) for _ in range(10)]

        async def all_begun() -> bool:
            text = (await gateway.web.get("/metrics")).text
            return sample(text, "nexttoken_gateway_requests_in_flight") == 11  # with this one

        await eventually(all_begun)
        assert (await ask(gateway, "")).status_code == 200
        for half in halves:
            half.close()


async def test_one_visitor_behind_a_proxy_has_a_part_of_the_places_and_the_others_have_the_rest() -> None:
    async with answering(max_requests=4, client_requests=2, trusted_proxies=LOOPBACK) as gateway:
        waiting = [asyncio.create_task(ask(gateway, f"2001:db8:1:2::{at}")) for at in range(2)]  # one household
        await until(lambda: gateway.calls.begun == 2)
        answer = await ask(gateway, "2001:db8:1:2:ffff::1")
        problem(answer, 429, "overloaded")
        assert answer.headers["retry-after"] == "1"
        assert await refused(gateway, "share") == 1
        waiting += [asyncio.create_task(ask(gateway, f"203.0.113.{at}")) for at in range(2)]
        await until(lambda: gateway.calls.begun == 4)
        problem(await ask(gateway, "203.0.113.7"), 429, "overloaded")
        assert await refused(gateway, "requests") == 1
        gateway.calls.free.set()
        assert {(await one).status_code for one in waiting} == {200}
        assert (await ask(gateway, "2001:db8:1:2::1")).status_code == 200


async def test_new_sessions_are_no_new_clients() -> None:
    async with answering(max_requests=4, client_requests=1) as gateway:
        first = asyncio.create_task(gateway.web.post("/api/next-token", content=HELLO, headers=JSON))
        await until(lambda: gateway.calls.begun == 1)
        for session in ("a", "b"):
            again = await gateway.web.post("/api/next-token", content=HELLO, headers={**JSON, "x-session": session})
            problem(again, 429, "overloaded")
        gateway.calls.free.set()
        assert (await first).status_code == 200


async def opened(gateway: Any, source: str) -> Any:
    return await asyncio.open_connection("127.0.0.1", gateway.port, local_addr=(source, 0))


async def test_one_client_has_a_part_of_the_connections_and_the_others_have_the_rest() -> None:
    async with gateway_here(NOWHERE, client_connections=3) as gateway, asyncio.timeout(PATIENCE_S):
        held = [await opened(gateway, "127.0.0.2") for _ in range(3)]
        await until(lambda: len(gateway.server.server_state.connections) == 3)
        reader, writer = await opened(gateway, "127.0.0.2")
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()
        assert await refused(gateway, "share") == 1  # asked from another address
        for _, each in held:
            each.close()
        await until(lambda: len(gateway.server.server_state.connections) == 1)
        reader, writer = await opened(gateway, "127.0.0.2")
        writer.write(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        writer.close()


async def test_a_trusted_proxy_has_the_connections_of_its_visitors() -> None:
    async with gateway_here(NOWHERE, client_connections=1, trusted_proxies=LOOPBACK) as gateway:
        held = [await opened(gateway, "127.0.0.2") for _ in range(5)]
        await until(lambda: len(gateway.server.server_state.connections) == 5)
        assert await refused(gateway, "share") == 0
        for _, each in held:
            each.close()


async def test_long_bodies_share_a_bounded_room_and_short_ones_always_pass() -> None:
    settings = {"bodies_mb": 4, "max_body_bytes": MIB, "client_connections": 100}
    async with answering(**settings) as gateway, asyncio.timeout(PATIENCE_S):
        gateway.calls.free.set()
        long = json.dumps({"text": "a" * 1_000_000}).encode()
        halves = [await half_sent(gateway, f"127.0.0.{at}", long) for at in range(2, 9)]  # more than there is room for

        async def full() -> bool:
            return await refused(gateway, "bodies") > 0

        await eventually(full)
        assert (await ask(gateway, "", b'{"text": "' + b"a" * 60_000 + b'"}')).status_code == 200
        for half in halves:
            half.close()

        async def room() -> bool:
            return (await ask(gateway, "", long)).status_code == 200

        await eventually(room)


async def test_one_client_fills_no_more_than_its_part_of_that_room() -> None:
    async with answering(bodies_mb=4, max_body_bytes=MIB) as gateway, asyncio.timeout(PATIENCE_S):
        gateway.calls.free.set()
        long = json.dumps({"text": "a" * 1_000_000}).encode()
        halves = [await half_sent(gateway, "127.0.0.2", long) for _ in range(8)]

        async def over() -> bool:
            return await refused(gateway, "share") > 0

        await eventually(over)
        assert (await ask(gateway, "", long)).status_code == 200
        for half in halves:
            half.close()
