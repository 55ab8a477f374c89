"""Influence over a real socket with the bundled model: whole streams, refusals, callers that leave, fair turns."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
import pytest_asyncio
import torch
from calls import bad_field, failure, until
from nexttoken.v1 import next_token_pb2 as pb
from servers import PATIENCE_S, connect, ready, server_here

from inference_server.server import fetch_model
from inference_server.settings import Settings

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXT = "Once upon a time there was a little girl. She had a red ball. One day the girl went to the park with her"
LONG = " ".join([TEXT] * 8)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def real() -> AsyncIterator[Any]:
    torch.set_num_threads(1)
    settings = Settings(
        model="bundled", grpc_port=0, drain_s=0, grace_s=PATIENCE_S, influence_units=230, influence_tokens=20_000
    )
    async with server_here(settings, fetch_model) as server, connect(f"127.0.0.1:{server.port}") as stub:
        await ready(stub, "bundled")
        yield SimpleNamespace(stub=stub, server=server)


def asked(**fields: Any) -> pb.InfluenceRequest:
    given = {} if "token_ids" in fields else {"text": TEXT}
    return pb.InfluenceRequest(**{**given, "target": 14, **fields})


async def events(real: Any, **fields: Any) -> list[pb.InfluenceResponse]:
    return [event async for event in real.stub.Influence(asked(**fields), timeout=PATIENCE_S)]


@pytest.mark.parametrize(
    "method", [pb.INFLUENCE_METHOD_HIDE, pb.INFLUENCE_METHOD_TAKE_OUT, pb.INFLUENCE_METHOD_GRADIENT]
)
async def test_a_whole_stream(real: Any, method: Any) -> None:
    start, *changes, done = await events(real, method=method)
    assert [each.WhichOneof("event") for each in (start, *changes[:1], done)] == ["start", "change", "done"]
    units = start.start.units
    words = [unit for unit in units if unit.kind == pb.INFLUENCE_UNIT_KIND_WORD]
    assert "".join(unit.text for unit in words if not unit.is_special) == TEXT
    assert [unit.has_first_token for unit in words] == [True] + [False] * (len(words) - 1)
    found = [each.change.unit for each in changes if each.change.method == method]
    assert len(found) == len(set(found)) == len(units) - (method == pb.INFLUENCE_METHOD_HIDE)
    assert done.done.complete
    assert done.done.timings.total_ms > 0
    assert done.done.HasField("rank_correlation") == (method == pb.INFLUENCE_METHOD_TAKE_OUT)
    assert start.start.target.token.token_id == 14


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"target": -1}, "target", "must be an id from 0 to"),
        ({"contrast": 14}, "contrast", "must be another token"),
        ({"contrast": 2**31 - 1}, "contrast", "must be an id from 0 to"),
        ({"unit": 7}, "unit", "must be one of 1 (token), 2 (word), 3 (sentence), got 7"),
        ({"method": 7}, "method", "must be one of 1 (hide)"),
        ({"replace_with": 4}, "replace_with", "only method take_out takes it"),
        ({"budget": 4}, "budget", "only method take_out takes it"),
        ({"method": 2, "replace_with": -4}, "replace_with", "must be an id from 0 to"),
        ({"method": 2, "budget": 20_001}, "budget", "must be from 1 to 20,000, got 20,001"),
        ({"method": 2, "budget": -1}, "budget", "must be from 1 to 20,000, got -1"),
        ({"text": f"{LONG} {LONG}", "unit": 1}, "unit", "parts of the prompt; at most 230 are measured"),
        ({"token_ids": pb.TokenIds(ids=[-1])}, "token_ids", "ids from 0 to"),
        ({"token_ids": pb.TokenIds(ids=[1] * 513)}, "token_ids", "context window is 512"),
    ],
)
async def test_bad_fields_are_refused(real: Any, fields: Any, field: str, words: str) -> None:
    failed = await failure(events(real, **fields))
    assert (failed.code(), bad_field(failed)) == (grpc.StatusCode.INVALID_ARGUMENT, field)
    assert words in (failed.details() or "")


async def test_a_target_is_required(real: Any) -> None:
    failed = await failure(real.stub.Influence(pb.InfluenceRequest(text="a")).read())
    assert (failed.code(), bad_field(failed)) == (grpc.StatusCode.INVALID_ARGUMENT, "target")


async def test_a_caller_who_leaves_is_dropped_within_a_step(real: Any) -> None:
    call = real.stub.Influence(asked(text=LONG, method=pb.INFLUENCE_METHOD_TAKE_OUT))
    assert (await call.read()).WhichOneof("event") == "start"
    computed = real.server.registry.engine("bundled")[1].stats.computed_tokens
    call.cancel()
    scheduler = real.server.scheduler
    await until(lambda: scheduler.in_flight == 0)
    after = real.server.registry.engine("bundled")[1].stats.computed_tokens
    await asyncio.sleep(0.1)
    assert real.server.registry.engine("bundled")[1].stats.computed_tokens == after
    assert after - computed < 20_000


async def test_a_deadline_ends_the_stream(real: Any) -> None:
    call = real.stub.Influence(asked(text=LONG, method=pb.INFLUENCE_METHOD_TAKE_OUT), timeout=0.5)

    async def read() -> None:
        async for _ in call:
            pass

    failed = await failure(read())
    assert failed.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await until(lambda: real.server.scheduler.in_flight == 0)


async def test_clicks_go_between(real: Any) -> None:
    """Clicks beside it are answered long before the influence is done."""
    call = real.stub.Influence(asked(text=LONG, method=pb.INFLUENCE_METHOD_TAKE_OUT))
    events = aiter(call)
    assert (await anext(events)).WhichOneof("event") == "start"
    for number in range(3):
        await real.stub.TopK(pb.TopKRequest(token_ids=pb.TokenIds(ids=[9, 8, number])), timeout=PATIENCE_S)
    assert real.server.scheduler.in_flight == 1, "it is still measured"
    assert (await anext(events)).WhichOneof("event") == "change"
    call.cancel()
    await until(lambda: real.server.scheduler.in_flight == 0)


async def test_a_stop_keeps_what_was_found(real: Any) -> None:
    changes = []
    call = real.stub.Influence(asked(method=pb.INFLUENCE_METHOD_TAKE_OUT))
    async for event in call:
        if event.WhichOneof("event") == "change" and event.change.method == pb.INFLUENCE_METHOD_TAKE_OUT:
            changes.append(event.change.unit)
            if len(changes) == 2:
                call.cancel()
                break
    await until(lambda: real.server.scheduler.in_flight == 0)
    assert len(changes) == 2
