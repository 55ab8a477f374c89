"""What calls pass on their way, asked as gRPC asks it. Over real sockets: tests/attack/test_grpc_crowds.py."""

import asyncio
import time
from collections import namedtuple
from typing import Any

import grpc
from grpc_health.v1 import health
from nexttoken.v1 import next_token_pb2 as pb

from inference_server.api import interceptors
from inference_server.api.interceptors import LANES, PROBES, CallLimit, Intake, LenientDecoder
from inference_server.errors import Overloaded

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


class Begun:
    """Calls in the order in which they began; each keeps the event loop busy for so long."""

    def __init__(self, busy_s: float = 0.001) -> None:
        self.intake = Intake()
        self._busy_s = busy_s
        self.order: list[str] = []

    async def call(self, address: str) -> None:
        await self.intake.turn(address)
        self.order.append(address)
        time.sleep(self._busy_s)  # noqa: ASYNC251  as decoding and refusing does


async def test_a_call_behind_anothers_burst_begins_before_most_of_it() -> None:
    begun = Begun()
    await begun.call("other")
    async with asyncio.TaskGroup() as calls:
        for _ in range(40):
            calls.create_task(begun.call("flood"))
        await asyncio.sleep(0)
        calls.create_task(begun.call("other"))
    assert begun.order[1:].index("other") < 10
    assert begun.order.count("flood") == 40


async def test_an_address_with_too_many_calls_that_wait_is_refused() -> None:
    begun = Begun(busy_s=1e-4)
    await begun.call("other")
    calls = [asyncio.create_task(begun.call("flood")) for _ in range(interceptors.MOST_HELD + 50)]
    await asyncio.sleep(0)
    ended = await asyncio.gather(*calls, begun.call("other"), return_exceptions=True)
    refused = [each for each in ended if each is not None]
    assert all(isinstance(each, Overloaded) and each.retry_after_s > 0 for each in refused)
    assert 0 < len(refused) <= 50
    assert len(begun.order) == len(calls) - len(refused) + 2


async def test_an_address_that_calls_alone_is_not_held() -> None:
    begun = Begun()
    async with asyncio.TaskGroup() as calls:
        for address in [*["flood"] * 40, "other"]:
            calls.create_task(begun.call(address))
    assert begun.order == [*["flood"] * 40, "other"]


async def test_addresses_at_rest_are_forgotten() -> None:
    intake = Intake()
    for number in range(LANES):
        await intake.turn(f"10.0.0.{number}")
    assert len(intake) == LANES
    await asyncio.sleep(2 * interceptors.BEGIN_BURST_S / interceptors.BEGIN_SHARE)
    await intake.turn("10.0.1.0")
    assert len(intake) == 1
