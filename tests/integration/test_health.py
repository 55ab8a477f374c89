"""Health as balancers and the gateway see it, and reflection."""

import asyncio
import contextlib
import struct
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import fakes
import grpc
from calls import failure, until_health
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from servers import PATIENCE_S, ready, server_here, stub_of

from inference_server.models.registry import OnProgress
from inference_server.settings import Settings

SERVICE = "nexttoken.v1.NextTokenService"
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Gates:
    """Models that load when the test says so."""

    def __init__(self) -> None:
        self.open = {name: threading.Event() for name in ("bundled", "owner/default")}

    def fetch(self, name: str, on_progress: OnProgress) -> Path:
        assert self.open[name].wait(PATIENCE_S)
        return Path("/models", name)


@contextlib.asynccontextmanager
async def serving(gates: Gates, ready_when: Literal["any", "default"] = "any") -> AsyncIterator[Any]:
    """A server with a fake default model and a fake bundled one, and its clients."""
    settings = Settings(model="owner/default", ready_when=ready_when, grpc_port=0, drain_s=0, grace_s=PATIENCE_S)
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(
            server_here(settings, gates.fetch, lambda name, folder: fakes.FakeEngine())
        )
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(f"127.0.0.1:{server.port}"))
        yield SimpleNamespace(channel=channel, stub=stub_of(channel), health=health_pb2_grpc.HealthStub(channel))
        for gate in gates.open.values():
            gate.set()


async def statuses(server: Any) -> list[int]:
    """Overall health, and the service's."""
    return [
        (await server.health.Check(health_pb2.HealthCheckRequest(service=name), timeout=PATIENCE_S)).status
        for name in ("", SERVICE)
    ]


@contextlib.asynccontextmanager
async def watch_that_reads_nothing(port: int) -> AsyncIterator[None]:
    """A watch of overall health under way, whose client takes no byte of an answer: its HTTP/2 window is 0."""

    def frame(kind: int, flags: int, stream: int, body: bytes) -> bytes:
        return struct.pack(">I", len(body))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + body

    headers = {":method": "POST", ":scheme": "http", ":path": "/grpc.health.v1.Health/Watch", ":authority": "test"}
    headers |= {"te": "trailers", "content-type": "application/grpc"}
    packed = b"".join(
        b"\0" + b"".join(bytes((len(part),)) + part.encode() for part in header) for header in headers.items()
    )
    window = frame(4, 0, 0, struct.pack(">HI", 4, 0))
    request = frame(1, 4, 1, packed) + frame(0, 1, 1, bytes(5))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    begun = asyncio.Event()

    async def stay() -> None:
        while True:
            head = await reader.readexactly(9)
            body = await reader.readexactly(int.from_bytes(head[:3], "big"))
            if head[3] == 1:  # the headers of the answer
                begun.set()
            if head[3] == 6 and not head[4]:  # a ping
                writer.write(frame(6, 1, 0, body))

    writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + window + request)
    staying = asyncio.create_task(stay())
    try:
        await begun.wait()
        yield
    finally:
        staying.cancel()
        writer.close()


async def test_a_server_without_a_model_answers_that_it_does_not_serve() -> None:
    async with serving(Gates()) as server:
        assert await statuses(server) == [NOT_SERVING, NOT_SERVING]


async def test_one_ready_model_is_enough() -> None:
    gates = Gates()
    async with serving(gates) as server:
        watch = server.health.Watch(health_pb2.HealthCheckRequest(service=SERVICE), timeout=PATIENCE_S)
        assert (await watch.read()).status == NOT_SERVING
        gates.open["bundled"].set()
        assert (await watch.read()).status == SERVING
        assert await statuses(server) == [SERVING, SERVING]
        watch.cancel()


async def test_a_replica_can_wait_for_its_default_model() -> None:
    gates = Gates()
    async with serving(gates, ready_when="default") as server:
        watch = server.health.Watch(health_pb2.HealthCheckRequest(), timeout=PATIENCE_S)
        assert (await watch.read()).status == NOT_SERVING
        gates.open["bundled"].set()
        await ready(server.stub, "bundled")
        assert await statuses(server) == [NOT_SERVING, NOT_SERVING]
        gates.open["owner/default"].set()
        assert (await watch.read()).status == SERVING
        assert await statuses(server) == [SERVING, SERVING]
        watch.cancel()


async def test_a_stopping_server_says_so_and_its_watches_do_not_hold_it() -> None:
    gates = Gates()
    gates.open["bundled"].set()
    gates.open["owner/default"].set()
    settings = Settings(model="bundled", grpc_port=0, drain_s=0, grace_s=10 * PATIENCE_S)
    async with asyncio.timeout(PATIENCE_S):  # well below the grace
        async with server_here(settings, gates.fetch, lambda name, folder: fakes.FakeEngine()) as server:
            channel = grpc.aio.insecure_channel(f"127.0.0.1:{server.port}")
            await ready(stub_of(channel), "bundled")
            watch = await until_health(channel, SERVING)
        assert (await watch.read()).status == NOT_SERVING
        assert await watch.code() is grpc.StatusCode.OK
        await channel.close(None)


async def test_a_watch_that_reads_nothing_holds_up_nobody() -> None:
    gates = Gates()
    settings = Settings(model="owner/default", grpc_port=0, drain_s=0, grace_s=0.1)
    async with asyncio.timeout(PATIENCE_S), contextlib.AsyncExitStack() as stack:
        here = server_here(settings, gates.fetch, lambda name, folder: fakes.FakeEngine())
        server = await stack.enter_async_context(here)
        await stack.enter_async_context(watch_that_reads_nothing(server.port))
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(f"127.0.0.1:{server.port}"))
        for gate in gates.open.values():
            gate.set()
        watch = await until_health(channel, SERVING)
        stopping = asyncio.create_task(server.stop())
        assert (await watch.read()).status == NOT_SERVING
        await stopping


async def test_health_of_a_stranger_is_unknown() -> None:
    async with serving(Gates()) as server:
        failed = await failure(server.health.Check(health_pb2.HealthCheckRequest(service="nobody")))
        assert failed.code() is grpc.StatusCode.NOT_FOUND


async def test_reflection_lists_the_service_and_describes_it() -> None:
    questions = (
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=SERVICE),
    )
    async with serving(Gates()) as server:
        stub = reflection_pb2_grpc.ServerReflectionStub(server.channel)
        services, described = [a async for a in stub.ServerReflectionInfo(iter(questions), timeout=PATIENCE_S)]
    assert {service.name for service in services.list_services_response.service} == {
        SERVICE,
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }
    assert any(b"NextTokenService" in file for file in described.file_descriptor_response.file_descriptor_proto)
