"""A call that nobody waits for any more: the inference server learns of it, and gRPC frees what it holds."""

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from gateways import NOWHERE, scripted_server
from grpc_health.v1 import health, health_pb2_grpc
from nexttoken.v1 import next_token_pb2 as pb
from nexttoken.v1 import next_token_pb2_grpc as pb_grpc
from servers import PATIENCE_S, stub_of

from web_gateway.inference.call import Call
from web_gateway.inference.calls import answer_of
from web_gateway.inference.channel import open_link
from web_gateway.inference.client import InferenceClient
from web_gateway.settings import Settings


async def test_a_wait_that_is_cancelled_cancels_the_call_and_not_the_task_that_frees_it() -> None:
    begun, left = asyncio.Event(), asyncio.Event()

    async def script(request: Any, context: Any) -> pb.TopKResponse:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            left.set()
        return pb.TopKResponse()

    async with asyncio.timeout(PATIENCE_S), scripted_server() as server:
        server.service.script = script
        async with grpc.aio.insecure_channel(server.target) as channel:
            call = stub_of(channel).TopK(pb.TopKRequest())
            waiting = asyncio.create_task(answer_of(call))
            await begun.wait()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert await call.code() is grpc.StatusCode.CANCELLED
            await left.wait()
            await asyncio.wait([call._invocation_task])
            assert not call._invocation_task.cancelled()


async def test_a_call_that_can_not_even_be_sent_fails() -> None:
    async with asyncio.timeout(PATIENCE_S), grpc.aio.insecure_channel(NOWHERE) as channel:
        call = stub_of(channel).TopK(pb.TopKRequest(), metadata=(("x-client", "a\tb"),))
        with pytest.raises(grpc.aio.InternalError):
            await answer_of(call)


@pytest.mark.parametrize("hanging", ["Check", "Info"])
async def test_a_probe_that_gives_up_leaves_nothing_behind(hanging: str) -> None:
    begun, left = asyncio.Event(), asyncio.Event()
    calls: list[Any] = []

    async def hang(*_: Any) -> Any:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            left.set()

    def noted(ask: Callable[..., Any]) -> Callable[..., Any]:
        def asked(*request: Any, **terms: Any) -> Any:
            calls.append(ask(*request, **terms))
            return calls[-1]

        return asked

    checks = health.aio.HealthServicer()  # type: ignore[attr-defined]  # the stubs lack it
    service = pb_grpc.NextTokenServiceServicer()
    setattr(checks if hanging == "Check" else service, hanging, hang)
    server = grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    pb_grpc.add_NextTokenServiceServicer_to_server(service, server)  # type: ignore[no-untyped-call]  # generated
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with asyncio.timeout(PATIENCE_S), open_link(Settings(inference_target=f"127.0.0.1:{port}")) as link:
        standard: Any = link.connection.health
        standard.stub.Check = noted(standard.stub.Check)
        link.connection.stub.Info = noted(link.connection.stub.Info)
        probing = asyncio.create_task(InferenceClient(link).check_ready(Call.without_deadline()))
        await begun.wait()
        probing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await probing
        await left.wait()
        await asyncio.wait([calls[-1]._invocation_task])
        assert not calls[-1]._invocation_task.cancelled()
    await server.stop(None)
