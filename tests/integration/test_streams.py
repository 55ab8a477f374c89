"""Streaming calls over a real socket, above a fake engine: events, errors after the first, callers that leave."""

import asyncio
from typing import Any

import grpc
import pytest
from calls import bad_field, detail, failure, trailers, until
from google.rpc import error_details_pb2
from nexttoken.v1 import next_token_pb2 as pb

from inference_server import errors
from inference_server.generate_messages import GeneratedSoFar, GenerateQuery

HELLO = pb.GenerateRequest(text="hi", max_tokens=3, top_k=2, n=2)


async def events(call: Any) -> list[pb.GenerateResponse]:
    return [event async for event in call]


async def test_a_stream_arrives_whole(setting: Any) -> None:
    start, *tokens = await events(setting.stub.Generate(HELLO))
    finishes = tokens[6:]
    assert start.start == pb.GenerateStart(model="bundled", token_ids=[104, 105], seed=7, context_limit=64)
    assert [(each.token.index, each.token.token.token.text) for each in tokens[:6]] == [
        (0, "j"),
        (1, "j"),
        (0, "k"),
        (1, "k"),
        (0, "l"),
        (1, "l"),
    ]
    first = tokens[0].token
    assert (first.token.rank, first.token.probability, first.entropy_bits) == (1, 0.5, 2.0)
    assert [each.token.token_id for each in first.candidates] == [106, 107]
    assert [each.finish.index for each in finishes] == [0, 1]
    finish = finishes[0].finish
    assert (finish.finish_reason, finish.text, finish.token_count) == (pb.FINISH_REASON_LENGTH, "jkl", 3)
    assert not finish.HasField("stop_token_id")
    assert not finish.HasField("stop_text")
    assert finish.timings.total_ms == 0.4


async def test_the_engine_is_asked_what_the_caller_asked(setting: Any) -> None:
    await events(setting.stub.Generate(pb.GenerateRequest(text="hi", max_tokens=1)))
    request = pb.GenerateRequest(
        token_ids=pb.TokenIds(ids=[5]),
        max_tokens=2,
        temperature=0,
        top_p=0.5,
        min_p=0.25,
        seed=0,
        n=3,
        stop=["."],
        stop_token_ids=pb.TokenIds(ids=[]),
        top_k=1,
        resume=[pb.GeneratedSoFar(index=2, token_ids=[9]), pb.GeneratedSoFar(index=0)],
        include_partition=True,
    )
    await events(setting.stub.Generate(request))
    assert setting.engine.queries == [
        GenerateQuery(text="hi", max_tokens=1),
        GenerateQuery(
            token_ids=(5,),
            max_tokens=2,
            temperature=0.0,
            top_p=0.5,
            min_p=0.25,
            seed=0,
            n=3,
            stop=(".",),
            stop_token_ids=(),
            top_k=1,
            resume=(GeneratedSoFar(2, (9,)), GeneratedSoFar(0)),
            include_partition=True,
        ),
    ]


async def test_an_error_before_the_first_event(setting: Any) -> None:
    setting.engine.failure = errors.InvalidField("max_tokens", "must be from 1")
    failed = await failure(events(setting.stub.Generate(HELLO)))
    assert (failed.code(), bad_field(failed)) == (grpc.StatusCode.INVALID_ARGUMENT, "max_tokens")
    setting.engine.failure = errors.Overloaded("full", 2.5)
    failed = await failure(events(setting.stub.Generate(HELLO)))
    assert failed.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert detail(failed, error_details_pb2.RetryInfo).retry_delay.ToMilliseconds() == 2500
    assert trailers(failed.trailing_metadata())["grpc-retry-pushback-ms"] == "2500"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.Stopping("going; broken off"), grpc.StatusCode.UNAVAILABLE),
        (errors.DeadlineExpired("too late"), grpc.StatusCode.DEADLINE_EXCEEDED),
        (errors.ComputeFailed("the model failed"), grpc.StatusCode.INTERNAL),
        (ZeroDivisionError("secret"), grpc.StatusCode.INTERNAL),
    ],
)
async def test_an_error_after_some_events(
    setting: Any, logged: list[Any], error: BaseException, code: grpc.StatusCode
) -> None:
    setting.engine.breaks_after, setting.engine.breaking = 3, error
    call = setting.stub.Generate(HELLO, metadata=[("x-request-id", "abc")])
    received = [await call.read() for _ in range(4)]
    assert [each.WhichOneof("event") for each in received] == ["start", "token", "token", "token"]
    failed = await failure(call.read())
    assert failed.code() is code
    assert "secret" not in (failed.details() or "")
    assert trailers(failed.trailing_metadata())["x-request-id"] == "abc"
    (line,) = [entry for entry in logged if entry["event"] == "call" and entry["rpc"] == "Generate"]
    assert (line["code"], line["model"], line["messages"], line["request_id"]) == (code.name, "bundled", 4, "abc")
    assert setting.engine.closed == 1


async def test_a_caller_that_leaves_ends_the_stream(setting: Any, logged: list[Any]) -> None:
    setting.engine.breaks_after, setting.engine.gate = 2, asyncio.Event()
    call = setting.stub.Generate(HELLO)
    for _ in range(3):
        await call.read()
    call.cancel()
    await until(lambda: setting.engine.closed == 1)
    await until(lambda: any(entry.get("code") == "CANCELLED" for entry in logged))
    assert not any(entry["event"] == "unhandled exception" for entry in logged)
    text = setting.server.metrics.text().decode()
    assert 'continuations_total{finish_reason="cancelled",model="bundled"} 2.0' in text


async def test_a_caller_that_never_reads_holds_the_stream_back(setting: Any) -> None:
    """At most what fits into the connection is computed before it is taken."""
    call = setting.stub.Generate(pb.GenerateRequest(text="hi", max_tokens=100_000, top_k=100))
    await call.read()
    given = 0
    text = 'stream_messages_total{model="bundled",rpc="Generate"} '

    def count() -> int:
        found = setting.server.metrics.text().decode().partition(text)[2]
        return int(float(found.split("\n")[0])) if found else 0

    while (now := count()) != given or not now:
        given = now
        await asyncio.sleep(0.2)
    assert given < 50_000
    call.cancel()
    await until(lambda: setting.engine.closed == 1)


async def test_what_streams_did_is_counted(setting: Any) -> None:
    await events(setting.stub.Generate(HELLO))
    text = setting.server.metrics.text().decode()
    for line in (
        'stream_messages_total{model="bundled",rpc="Generate"} 9.0',
        'stream_wait_seconds_count{model="bundled",rpc="Generate"} 9.0',
        'continuations_total{finish_reason="length",model="bundled"} 2.0',
        'calls_total{code="OK",model="bundled",rpc="Generate"} 1.0',
        'tokens_total{model="bundled",rpc="Generate"} 2.0',
        'phase_seconds_count{model="bundled",phase="total",rpc="Generate"} 1.0',
    ):
        assert f"nexttoken_inference_{line}" in text
