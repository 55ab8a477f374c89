"""Grow over a real socket, above a fake engine: events arrive whole and in order, and callers may leave at any time."""

import asyncio
import math
from typing import Any

import fakes
import grpc
import pytest
from calls import bad_field, failure, until
from nexttoken.v1 import next_token_pb2 as pb
from servers import PATIENCE_S

from inference_server import grow_messages
from inference_server.errors import ComputeFailed, InvalidField


async def events(call: Any) -> list[pb.GrowResponse]:
    return [event async for event in call]


async def test_a_growth_arrives_whole(setting: Any, logged: list[Any]) -> None:
    request = pb.GrowRequest(token_ids=pb.TokenIds(ids=[7, 104]), depth=2, coverage=0.5, max_nodes=9, width=4)
    start, first, mass, second, finish = await events(setting.stub.Grow(request))
    assert setting.engine.queries == [
        grow_messages.GrowQuery(token_ids=(7, 104), depth=2, coverage=0.5, max_nodes=9, width=4)
    ]
    assert start.start == pb.GrowStart(model="bundled", token_ids=[7, 104], context_limit=fakes.CONTEXT_LIMIT)
    assert first.node.token.token.text == "i"
    assert (first.node.id, first.node.parent, first.node.depth, first.node.is_end) == (1, 0, 1, False)
    assert first.node.path_logprob == pytest.approx(math.log(0.5))
    assert mass.mass == pb.GrownMass(open=0.5, pruned=0.5)
    assert (second.node.id, second.node.parent, second.node.is_end) == (2, 1, True)
    assert finish.finish.finish_reason == pb.GROW_FINISH_REASON_COMPLETE
    assert (finish.finish.node_count, finish.finish.mass.covered) == (2, 0.25)
    assert finish.finish.timings.total_ms == 0.6
    (call,) = [entry for entry in logged if entry.get("rpc") == "Grow"]
    assert (call["code"], call["tokens"], call["nodes"]) == ("OK", 2, 2)


async def test_defaults_are_those_of_the_query(setting: Any) -> None:
    await events(setting.stub.Grow(pb.GrowRequest(text="hi")))
    assert setting.engine.queries == [grow_messages.GrowQuery(text="hi")]


async def test_a_caller_who_leaves_between_nodes_ends_it(setting: Any, logged: list[Any]) -> None:
    setting.engine.breaks_after, setting.engine.gate = 2, asyncio.Event()
    call = setting.stub.Grow(pb.GrowRequest(text="hi"))
    for _ in range(5):
        await call.read()
    assert setting.engine.closed == 0
    call.cancel()
    await until(lambda: setting.engine.closed == 1)
    await until(lambda: any(entry.get("rpc") == "Grow" and entry["code"] == "CANCELLED" for entry in logged))
    assert not any(entry["event"] == "unhandled exception" for entry in logged)


async def test_a_refusal_comes_before_any_event(setting: Any) -> None:
    setting.engine.failure = InvalidField("depth", "must be from 1 to 100, got 0")
    failed = await failure(events(setting.stub.Grow(pb.GrowRequest(text="hi", depth=0))))
    assert (failed.code(), bad_field(failed)) == (grpc.StatusCode.INVALID_ARGUMENT, "depth")


async def test_an_error_in_between_keeps_the_nodes_before_it(setting: Any) -> None:
    setting.engine.breaks_after = 2
    setting.engine.breaking = ComputeFailed("the model failed; broken off after 2 nodes")
    call = setting.stub.Grow(pb.GrowRequest(text="hi", depth=3), timeout=PATIENCE_S)
    seen = list[pb.GrowResponse]()

    async def read() -> None:
        async for event in call:
            seen.append(event)

    failed = await failure(read())
    assert (failed.code(), failed.details()) == (
        grpc.StatusCode.INTERNAL,
        "the model failed; broken off after 2 nodes",
    )
    assert [event.node.id for event in seen if event.WhichOneof("event") == "node"] == [1, 2]
