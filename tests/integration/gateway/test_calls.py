"""A call that nobody waits for any more: the inference server learns of it, and gRPC frees what it holds."""

import asyncio
from typing import Any

import grpc
import pytest
from gateways import NOWHERE, scripted_server
from nexttoken.v1 import next_token_pb2 as pb
from servers import PATIENCE_S, stub_of

from web_gateway.calls import answer_of


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
