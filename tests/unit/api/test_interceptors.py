"""What calls pass on their way, asked as gRPC asks it. Over real sockets: tests/attack/test_grpc_crowds.py."""

import asyncio
from collections import namedtuple
from typing import Any

import grpc
from grpc_health.v1 import health
from nexttoken.v1 import next_token_pb2 as pb

from inference_server.api import interceptors
from inference_server.api.interceptors import PROBES, CallLimit, LenientDecoder

Call = namedtuple("Call", ["method", "invocation_metadata"])
SERVICE = "nexttoken.v1.NextTokenService"


def handler() -> Any:
    return grpc.unary_unary_rpc_method_handler(lambda *_: None, pb.TopKRequest.FromString)


async def passed(interceptor: Any, method: str) -> Any:
    async def found(_: object) -> Any:
        return handler()

    return await interceptor.intercept_service(found, Call(method, ()))


async def test_bytes_that_are_no_message_are_none() -> None:
    decode = (await passed(LenientDecoder(SERVICE), f"/{SERVICE}/TopK")).request_deserializer
    assert decode(pb.TopKRequest(text="a").SerializeToString()) == pb.TopKRequest(text="a")
    assert decode(b"\xff\xff\xff") is None


async def test_other_services_decode_for_themselves() -> None:
    decode = (await passed(LenientDecoder(SERVICE), f"/{health.SERVICE_NAME}/Check")).request_deserializer
    assert decode == pb.TopKRequest.FromString


async def test_one_call_too_many_is_rejected_and_probes_are_not() -> None:
    refused: list[int] = []
    limit = CallLimit(lambda: refused.append(1), max_calls=2)
    over = asyncio.Event()

    async def call() -> None:
        await passed(limit, "/a/B")
        await over.wait()

    calls = [asyncio.create_task(call()) for _ in range(2)]
    await asyncio.sleep(0)
    rejected = await passed(limit, "/a/B")
    assert rejected.stream_unary is interceptors.reject
    assert refused == [1]
    assert (await passed(limit, PROBES)).stream_unary is None
    over.set()
    await asyncio.gather(*calls)
    assert (await asyncio.create_task(passed(limit, "/a/B"))).stream_unary is None
    assert refused == [1]
