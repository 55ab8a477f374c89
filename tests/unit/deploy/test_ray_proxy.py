"""What Ray's proxies are told of the contract, without Ray."""

import asyncio
from collections.abc import AsyncGenerator
from types import SimpleNamespace
from typing import Any

from nexttoken.v1 import next_token_pb2 as pb

from deploy.ray.proxy import Context, add_service, ending


class Server:
    """Takes handlers as Ray's server does: with functions of its own in place of theirs."""

    def __init__(self) -> None:
        self.generic: list[Any] = []
        self.registered: dict[str, Any] = {}

    def add_generic_rpc_handlers(self, handlers: Any) -> None:
        self.generic.append(handlers[0])

    def add_registered_method_handlers(self, service: str, handlers: Any) -> None:
        self.registered |= {f"/{service}/{name}": handler for name, handler in handlers.items()}


def test_every_call_is_registered_both_ways() -> None:
    server = Server()
    add_service(SimpleNamespace(**dict.fromkeys(method.name for method in METHODS)), server)
    names = {f"/nexttoken.v1.NextTokenService/{method.name}" for method in METHODS}
    assert set(server.registered) == names
    (generic,) = server.generic
    assert set(generic._method_handlers) == names
    generate = server.registered["/nexttoken.v1.NextTokenService/Generate"]
    assert (generate.request_streaming, generate.response_streaming) == (False, True)


def test_a_message_that_cannot_be_decoded_is_none() -> None:
    server = Server()
    add_service(SimpleNamespace(**dict.fromkeys(method.name for method in METHODS)), server)
    handler = server.registered["/nexttoken.v1.NextTokenService/TopK"]
    assert handler.request_deserializer(b"\xff\xff") is None
    assert handler.request_deserializer(pb.TopKRequest(text="a").SerializeToString()).text == "a"


METHODS = pb.DESCRIPTOR.services_by_name["NextTokenService"].methods


class Call:
    """A gRPC context that tells when it is used."""

    used = 0

    def peer(self) -> str:
        self.used += 1
        return "ipv4:127.0.0.1:5"

    def set_code(self, code: object) -> None:
        self.used += 1


async def test_a_stream_left_between_two_messages_is_cancelled_and_its_call_left_alone() -> None:
    ended, call = asyncio.Event(), Call()

    async def stream(request: Any, context: Context) -> AsyncGenerator[int, None]:
        yield 1
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            context.set_code("late")
            assert context.peer() == "ipv4:127.0.0.1:5"
            ended.set()

    answers = ending(stream)(None, call)
    assert await anext(answers) == 1
    used = call.used
    await answers.aclose()
    assert ended.is_set()
    assert call.used == used


async def test_a_stream_that_is_read_to_its_end_is_as_it_was() -> None:
    call = Call()

    async def stream(request: Any, context: Context) -> AsyncGenerator[int, None]:
        yield request
        yield request + 1
        context.set_code("in time")

    assert [answer async for answer in ending(stream)(1, call)] == [1, 2]
    assert call.used == 2
