"""The calls over a real socket, above a fake engine: what is refused and how, and what is logged."""

import asyncio
import re
import weakref
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from calls import bad_field, detail, failure, trailers, until
from google.rpc import error_details_pb2
from nexttoken.v1 import next_token_pb2 as pb
from servers import PATIENCE_S

from inference_server import errors
from inference_server.api.calls import STATUS, answering

HELLO = pb.TopKRequest(text="hi", top_k=2)


class Aborted(Exception):
    """As gRPC's own, which ends the call."""


async def abort(code: grpc.StatusCode, words: str, _: Any) -> None:
    raise Aborted(code, words)


CONTEXT: Any = SimpleNamespace(invocation_metadata=tuple, set_trailing_metadata=lambda _: None, abort=abort)


def subclasses(kind: Any) -> set[Any]:
    return {found for child in kind.__subclasses__() for found in {child, *subclasses(child)}}


def test_every_error_has_a_status_code() -> None:
    assert set(STATUS) == subclasses(errors.ServingError)


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
    calls = (setting.stub.TopK(HELLO), setting.stub.Score(pb.ScoreRequest(text="hi")))
    for call in (*calls, setting.stub.Layers(pb.LayersRequest(text="hi"))):
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


@pytest.mark.parametrize("kind", [RuntimeError, BaseException])  # the latter as where a native library panics
async def test_an_unexpected_fault_shows_no_internals(
    setting: Any, logged: list[Any], kind: type[BaseException]
) -> None:
    setting.engine.failure = kind("secret internals")
    failed = await failure(setting.stub.TopK(HELLO, metadata=[("x-request-id", "abc")], timeout=PATIENCE_S))
    assert failed.code() is grpc.StatusCode.INTERNAL
    assert "abc" in (failed.details() or "")
    assert "secret" not in (failed.details() or "")
    (fault,) = [entry for entry in logged if entry["event"] == "unhandled exception"]
    assert (fault["exc_info"], fault["request_id"], fault["rpc"]) == (True, "abc", "TopK")
    assert [call["code"] for call in await calls_logged(logged, 1)] == ["INTERNAL"]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
async def test_the_end_of_the_process_is_no_fault_of_a_call(setting: Any, kind: type[BaseException]) -> None:
    with pytest.raises(kind):
        async with answering("TopK", HELLO, CONTEXT, setting.server.metrics, asyncio.sleep(0)):
            raise kind


async def test_a_call_that_gets_no_turn_is_refused_and_does_nothing(setting: Any) -> None:
    async def full() -> None:
        raise errors.Overloaded("this address is at its limit", 1.0)

    with pytest.raises(Aborted) as ended:
        async with answering("TopK", HELLO, CONTEXT, setting.server.metrics, full()):
            pytest.fail("it began")
    assert ended.value.args == (grpc.StatusCode.RESOURCE_EXHAUSTED, "this address is at its limit")


async def test_a_refusal_keeps_nothing_of_the_prompt(setting: Any) -> None:
    """Though gRPC keeps the error that ends the call, and with it the one that it came from."""

    class Held:
        """What a frame of the call holds."""

    held = list[weakref.ref[Held]]()

    async def encode() -> None:
        ids = Held()
        held.append(weakref.ref(ids))
        raise errors.InvalidField("text", "too long")

    with pytest.raises(Aborted) as ended:
        async with answering("TopK", HELLO, CONTEXT, setting.server.metrics, asyncio.sleep(0)):
            await encode()
    assert isinstance(ended.value.__context__, errors.InvalidField)
    assert held[0]() is None


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


async def calls_logged(logged: list[Any], count: int) -> list[Any]:
    """The lines that calls left; a call's line may come after its answer."""
    await until(lambda: len([entry for entry in logged if entry["event"] == "call"]) == count)
    return [entry for entry in logged if entry["event"] == "call"]


async def test_a_request_id_is_kept_or_made_and_joins_the_log(setting: Any, logged: list[Any]) -> None:
    kept = setting.stub.TopK(HELLO, metadata=[("x-request-id", "a.b-C_9")])
    await kept
    assert trailers(await kept.trailing_metadata())["x-request-id"] == "a.b-C_9"
    made = setting.stub.TopK(HELLO, metadata=[("x-request-id", "no spaces")])
    await made
    fresh = trailers(await made.trailing_metadata())["x-request-id"]
    assert re.fullmatch("[0-9a-f]{32}", fresh)
    assert [call["request_id"] for call in await calls_logged(logged, 2)] == ["a.b-C_9", fresh]


async def test_one_line_a_call_with_its_outcome_and_never_the_text(setting: Any, logged: list[Any]) -> None:
    await setting.stub.TopK(pb.TopKRequest(text="my secret prompt"))
    setting.engine.failure = errors.Overloaded("too much", 1.0)
    await failure(setting.stub.Score(pb.ScoreRequest(text="my secret prompt")))
    calls = await calls_logged(logged, 2)
    assert [(call["rpc"], call["code"], call["model"]) for call in calls] == [
        ("TopK", "OK", "bundled"),
        ("Score", "RESOURCE_EXHAUSTED", "bundled"),
    ]
    assert all(call["ms"] >= 0 for call in calls)
    assert (calls[0]["tokens"], calls[1]["error"]) == (len("my secret prompt"), "too much")
    assert "secret" not in repr(logged)
