"""The calls over a real socket, above a fake engine: what is translated, what is refused and how, what is logged."""

import asyncio
import math
import re
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import fakes
import grpc
import pytest
import structlog
from calls import bad_field, detail, failure, trailers, until
from google.rpc import error_details_pb2
from nexttoken.v1 import next_token_pb2 as pb
from servers import PATIENCE_S, connect, ready, server_here, stub_of

from inference_server import errors, values
from inference_server.service import STATUS
from inference_server.settings import Settings

HELLO = pb.TopKRequest(text="hi", top_k=2)


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    """What the server logs, request ids included."""
    with structlog.testing.capture_logs([structlog.contextvars.merge_contextvars]) as entries:
        yield entries


@pytest.fixture
async def setting(logged: list[Any]) -> AsyncIterator[Any]:
    """A server with a fake model, a client, and what lies behind them."""
    engine = fakes.FakeEngine()
    settings = Settings(model="bundled", grpc_port=0, drain_s=0, grace_s=PATIENCE_S)
    async with (
        server_here(settings, fakes.fetch, lambda name, folder: engine) as server,
        connect(f"127.0.0.1:{server.port}") as stub,
    ):
        await ready(stub, "bundled")
        yield SimpleNamespace(engine=engine, server=server, stub=stub)


def subclasses(kind: Any) -> set[Any]:
    return {found for child in kind.__subclasses__() for found in {child, *subclasses(child)}}


def test_every_error_has_a_status_code() -> None:
    assert set(STATUS) == subclasses(errors.ServingError)


async def test_defaults_are_those_of_the_query(setting: Any) -> None:
    await setting.stub.TopK(pb.TopKRequest(text="hi"))
    await setting.stub.TopK(pb.TopKRequest(token_ids=pb.TokenIds(ids=[])))
    await setting.stub.Score(pb.ScoreRequest(token_ids=pb.TokenIds(ids=[5, 6])))
    assert setting.engine.queries == [
        values.TopKQuery(text="hi"),
        values.TopKQuery(token_ids=()),
        values.ScoreQuery(token_ids=(5, 6)),
    ]


async def test_fields_that_are_set_arrive_even_when_zero(setting: Any) -> None:
    request = pb.TopKRequest(
        text="hi",
        top_k=0,
        temperature=0,
        watch_token_ids=[3, 1],
        top_p=0,
        min_p=0.5,
        draws=[0.25, math.inf],
        include_prompt_tokens=True,
        include_partition=True,
    )
    await setting.stub.TopK(request)
    await setting.stub.Score(pb.ScoreRequest(text="", top_k=3))
    assert setting.engine.queries == [
        values.TopKQuery(
            text="hi",
            top_k=0,
            temperature=0.0,
            watch_token_ids=(3, 1),
            top_p=0.0,
            min_p=0.5,
            draws=(0.25, math.inf),
            include_prompt_tokens=True,
            include_partition=True,
        ),
        values.ScoreQuery(text="", top_k=3),
    ]


async def test_an_answer_arrives_whole(setting: Any) -> None:
    request = pb.TopKRequest(
        token_ids=pb.TokenIds(ids=[0, 254]),
        top_k=2,
        watch_token_ids=[9],
        draws=[0.5],
        include_prompt_tokens=True,
        include_partition=True,
    )
    answer = await setting.stub.TopK(request)
    assert answer.model == "bundled"
    assert (answer.prompt.token_count, answer.prompt.context_limit) == (2, fakes.CONTEXT_LIMIT)
    assert [token.token_id for token in answer.prompt.tokens] == [0, 254]
    first, second = answer.candidates
    assert (first.token.token_id, first.token.bytes, first.rank, first.probability) == (255, b"\xff", 1, 0.5)
    assert not first.token.HasField("text")
    assert (second.token.text, second.token.is_special) == ("\0", True)
    assert (answer.watched[0].token.text, answer.watched[0].rank) == ("\t", 7)
    assert answer.drawn[0] == first
    assert (answer.kept.count, answer.kept.probability) == (fakes.VOCAB_SIZE, 1.0)
    assert (answer.other_probability, answer.entropy_bits, answer.vocab_size) == (0.25, 2.0, fakes.VOCAB_SIZE)
    point = pb.PartitionPoint(inverse_temperature=1.0, log_sum_exp=2.0, mean_logit=3.0, variance=4.0)
    assert list(answer.partition) == [point]
    assert (answer.timings.queue_ms, answer.timings.tokenize_ms, answer.timings.model_ms) == (0.1, 0.2, 0.3)


async def test_a_score_arrives_whole(setting: Any) -> None:
    answer = await setting.stub.Score(pb.ScoreRequest(text="hi", top_k=2))
    first, second = answer.tokens
    assert first == pb.ScoredToken(
        candidate=pb.Candidate(token=pb.Token(token_id=104, bytes=b"h", text="h")),
        entropy_bits=1.0,
        alternatives=first.alternatives,
        unconditioned=True,
    )
    assert (second.candidate.token.text, second.candidate.probability, len(second.alternatives)) == ("i", 0.5, 2)
    assert (answer.total_logprob, answer.perplexity, answer.bits_per_byte) == (-0.5, 1.5, 0.25)
    assert (answer.context_limit, answer.timings.total_ms) == (fakes.CONTEXT_LIMIT, 0.6)


async def test_facts_arrive_with_a_ready_model(setting: Any) -> None:
    (model,) = (await setting.stub.ListModels(pb.ListModelsRequest())).models
    assert (model.name, model.state, model.is_default) == ("bundled", pb.MODEL_STATE_READY, True)
    facts = setting.engine.facts
    assert (model.facts.parameters, model.facts.device, model.facts.dtype) == (facts.parameters, "cpu", "float32")
    assert (model.facts.vocab_size, model.facts.context_limit) == (facts.vocab_size, facts.context_limit)
    assert model.facts.architecture == facts.architecture
    loaded = await setting.stub.LoadModel(pb.LoadModelRequest(name="bundled"))
    assert loaded.model == model


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ModelNotReady("it is loading"), grpc.StatusCode.UNAVAILABLE),
        (errors.ModelFailed("no network"), grpc.StatusCode.FAILED_PRECONDITION),
        (errors.UnknownModel("no such"), grpc.StatusCode.NOT_FOUND),
        (errors.DeadlineExpired("too late"), grpc.StatusCode.DEADLINE_EXCEEDED),
        (errors.Stopping("going"), grpc.StatusCode.UNAVAILABLE),
        (errors.ComputeFailed("the model failed"), grpc.StatusCode.INTERNAL),
    ],
)
async def test_an_error_has_its_code_and_its_words(
    setting: Any, error: errors.ServingError, code: grpc.StatusCode
) -> None:
    setting.engine.failure = error
    for call in (setting.stub.TopK(HELLO), setting.stub.Score(pb.ScoreRequest(text="hi"))):
        failed = await failure(call)
        assert (failed.code(), failed.details()) == (code, str(error))
    setting.engine.failure = None
    assert len((await setting.stub.TopK(HELLO)).candidates) == 2


async def test_a_bad_field_is_named_for_machines(setting: Any) -> None:
    setting.engine.failure = errors.InvalidField("top_k", "must be in [1, 1000], not 0")
    failed = await failure(setting.stub.TopK(HELLO, metadata=[("x-request-id", "abc")]))
    assert (failed.code(), failed.details()) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "top_k: must be in [1, 1000], not 0",
    )
    (violation,) = detail(failed, error_details_pb2.BadRequest).field_violations
    assert (violation.field, violation.description) == ("top_k", "must be in [1, 1000], not 0")
    assert trailers(failed.trailing_metadata())["x-request-id"] == "abc"


async def test_an_overload_says_when_to_try_again(setting: Any) -> None:
    setting.engine.failure = errors.Overloaded("too much", retry_after_s=0.3004)
    failed = await failure(setting.stub.TopK(HELLO))
    assert (failed.code(), failed.details()) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "too much")
    assert trailers(failed.trailing_metadata())["grpc-retry-pushback-ms"] == "301"
    assert detail(failed, error_details_pb2.RetryInfo).retry_delay.ToMilliseconds() == 301


async def test_an_unexpected_fault_shows_no_internals(setting: Any, logged: list[Any]) -> None:
    setting.engine.failure = RuntimeError("secret internals")
    failed = await failure(setting.stub.TopK(HELLO, metadata=[("x-request-id", "abc")]))
    assert failed.code() is grpc.StatusCode.INTERNAL
    assert "abc" in (failed.details() or "")
    assert "secret" not in (failed.details() or "")
    (fault,) = [entry for entry in logged if entry["event"] == "unexpected fault"]
    assert (fault["exc_info"], fault["request_id"], fault["rpc"]) == (True, "abc", "TopK")


async def test_words_longer_than_trailers_hold_still_arrive(setting: Any) -> None:
    setting.engine.failure = errors.InvalidField("text", "é" * 50_000)
    failed = await failure(setting.stub.TopK(HELLO))
    assert failed.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert bad_field(failed) == "text"


@pytest.mark.parametrize("name", ["", "nobody/knows", "x" * 100_000])
async def test_a_model_to_load_must_be_listed(setting: Any, name: str) -> None:
    failed = await failure(setting.stub.LoadModel(pb.LoadModelRequest(name=name)))
    expected = grpc.StatusCode.NOT_FOUND if name else grpc.StatusCode.INVALID_ARGUMENT
    assert failed.code() is expected
    assert "bundled" in (failed.details() or "")


async def test_the_deadline_reaches_the_engine(setting: Any) -> None:
    await setting.stub.TopK(HELLO)
    await setting.stub.TopK(HELLO, timeout=PATIENCE_S)
    none, some = setting.engine.deadlines
    assert none is None
    assert some is not None


async def test_a_request_id_is_kept_or_made_and_joins_the_log(setting: Any, logged: list[Any]) -> None:
    kept = setting.stub.TopK(HELLO, metadata=[("x-request-id", "a.b-C_9")])
    await kept
    assert trailers(await kept.trailing_metadata())["x-request-id"] == "a.b-C_9"
    made = setting.stub.TopK(HELLO, metadata=[("x-request-id", "no spaces")])
    await made
    fresh = trailers(await made.trailing_metadata())["x-request-id"]
    assert re.fullmatch("[0-9a-f]{32}", fresh)
    calls = [entry for entry in logged if entry["event"] == "call" and entry["rpc"] == "TopK"]
    assert [call["request_id"] for call in calls] == ["a.b-C_9", fresh]


async def test_one_line_a_call_with_its_outcome_and_never_the_text(setting: Any, logged: list[Any]) -> None:
    await setting.stub.TopK(pb.TopKRequest(text="my secret prompt"))
    setting.engine.failure = errors.Overloaded("too much", 1.0)
    await failure(setting.stub.Score(pb.ScoreRequest(text="my secret prompt")))
    calls = [entry for entry in logged if entry["event"] == "call" and entry["rpc"] in ("TopK", "Score")]
    assert [(call["rpc"], call["code"], call["model"]) for call in calls] == [
        ("TopK", "OK", "bundled"),
        ("Score", "RESOURCE_EXHAUSTED", "bundled"),
    ]
    assert all(call["ms"] >= 0 for call in calls)
    assert (calls[0]["tokens"], calls[1]["error"]) == (len("my secret prompt"), "too much")
    assert "secret" not in repr(logged)


async def test_a_client_that_leaves_cancels_its_call(setting: Any, logged: list[Any]) -> None:
    setting.engine.gate = asyncio.Event()
    call = setting.stub.TopK(HELLO)
    await until(lambda: bool(setting.engine.queries))
    call.cancel()
    await until(lambda: any(entry.get("code") == "CANCELLED" for entry in logged))
    assert setting.engine.finished == 0
    assert not any(entry["event"] == "unexpected fault" for entry in logged)


async def test_a_watcher_that_leaves_is_let_go(setting: Any, logged: list[Any]) -> None:
    watch = setting.stub.WatchModels(pb.WatchModelsRequest())
    assert (await watch.read()).models[0].name == "bundled"
    watch.cancel()
    await until(lambda: any(entry.get("rpc") == "WatchModels" and entry["code"] == "CANCELLED" for entry in logged))


async def test_a_watch_ends_with_the_server() -> None:
    settings = Settings(model="bundled", grpc_port=0, drain_s=0, grace_s=PATIENCE_S)
    watches = []
    async with server_here(settings, fakes.fetch, lambda name, folder: fakes.FakeEngine()) as server:
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{server.port}")
        for _ in range(2):
            watches.append(stub_of(channel).WatchModels(pb.WatchModelsRequest()))
            await watches[-1].read()
    for watch in watches:
        failed = await failure(watch.read())
        assert failed.code() is grpc.StatusCode.UNAVAILABLE
        assert "stopping" in (failed.details() or "")
    await channel.close(None)
