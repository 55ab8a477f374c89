"""Streams of the Python clients that break off, stall or are left, above a fake engine."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import fakes
import grpc
import pytest
from calls import until
from nexttoken.v1 import next_token_pb2 as pb
from nexttoken.v1 import next_token_pb2_grpc as pb_grpc
from servers import PATIENCE_S, connect, ready, server_here

import next_token_visualizer as ntv
from inference_server import errors
from inference_server.settings import Settings
from next_token_visualizer.progress import Progress

Take = Callable[..., Any]


def taker(kind: str, target: str) -> Take:
    """Calls a streaming method of a client: the events that came before it ended, and its error if it failed."""

    def blocking(method: str, *args: Any, **options: Any) -> tuple[list[Any], ntv.NextTokenError | None]:
        taken = []
        with ntv.Client(target) as client:
            try:
                for event in getattr(client, method)(*args, **options):
                    taken.append(event)
            except ntv.NextTokenError as error:
                return taken, error
        return taken, None

    async def waiting(method: str, *args: Any, **options: Any) -> tuple[list[Any], ntv.NextTokenError | None]:
        taken = []
        async with ntv.AsyncClient(target) as client:
            try:
                async for event in getattr(client, method)(*args, **options):
                    taken.append(event)
            except ntv.NextTokenError as error:
                return taken, error
        return taken, None

    async def in_thread(*args: Any, **options: Any) -> Any:
        return await asyncio.to_thread(blocking, *args, **options)

    return in_thread if kind == "sync" else waiting


@pytest.fixture(params=["sync", "async"])
async def take(request: pytest.FixtureRequest, setting: Any) -> Take:
    return taker(request.param, f"127.0.0.1:{setting.server.port}")


def texts(events: list[Any]) -> str:
    return "".join(event.token.token.text for event in events if isinstance(event, pb.GeneratedToken))


async def test_a_broken_generation_says_what_it_takes_to_go_on(setting: Any, take: Take) -> None:
    engine = setting.engine
    engine.breaks_after, engine.breaking = 3, errors.Stopping("going")
    events, error = await take("generate", "hi", max_tokens=4, n=2, seed=9, stop=["!"])
    assert isinstance(error, ntv.Unavailable)
    assert (texts(events), len(engine.queries)) == ("jjk", 1)  # not repeated
    assert error.rest == pb.GenerateRequest(
        model="bundled",
        token_ids=pb.TokenIds(ids=b"hi"),
        max_tokens=4,
        n=2,
        seed=9,
        stop=["!"],
        resume=[
            pb.GeneratedSoFar(index=0, token_ids=[ord("j"), ord("k")]),
            pb.GeneratedSoFar(index=1, token_ids=[ord("j")]),
        ],
    )
    again, error = await take("generate", error.rest)
    assert error
    assert error.rest
    assert texts(again) == "lkm"
    assert list(error.rest.resume[0].token_ids) == list(b"jklm")
    engine.breaks_after = None
    rest, error = await take("generate", error.rest)
    assert (texts(rest), error) == ("lm", None)
    assert [(event.index, event.text) for event in rest[-2:]] == [(0, "jklm"), (1, "jklm")]


async def test_a_stream_is_repeated_only_before_its_first_event(setting: Any, take: Take) -> None:
    engine = setting.engine
    engine.failure = errors.Overloaded("full", 0.05)
    events, error = await take("grow", "hi")
    assert isinstance(error, ntv.Overloaded)
    assert (events, len(engine.queries), error.rest, error.retry_after_s) == ([], 4, None, 0.05)

    engine.queries.clear()
    engine.failure, engine.breaks_after, engine.breaking = None, 1, errors.Overloaded("full", 0.05)
    for method, args in (("grow", ()), ("influence", (5,))):
        events, error = await take(method, "hi", *args)
        assert isinstance(error, ntv.Overloaded)
        assert events
        assert error.rest is None
    assert len(engine.queries) == 2


async def test_a_stream_has_a_deadline_of_its_own(setting: Any, take: Take) -> None:
    setting.engine.breaks_after, setting.engine.gate = 2, asyncio.Event()
    events, error = await take("generate", "hi", max_tokens=9, timeout_s=0.5)
    assert isinstance(error, ntv.DeadlineExceeded)
    assert error.rest
    assert (texts(events), list(error.rest.resume[0].token_ids)) == ("jk", list(b"jk"))
    await until(lambda: setting.engine.closed == 1)


async def test_a_stream_that_is_left_is_cancelled(setting: Any) -> None:
    """While the server computes, too."""
    engine, target = setting.engine, f"127.0.0.1:{setting.server.port}"
    engine.breaks_after, engine.gate = 1, asyncio.Event()

    def leave(client: ntv.Client) -> None:
        for method, args in (("generate", ()), ("grow", ()), ("influence", (5,))):
            for _ in getattr(client, method)("hi", *args):
                break
            kept = getattr(client, method)("hi", *args)
            next(kept)
            kept.close()

    with ntv.Client(target, timeout_s=2 * PATIENCE_S) as blocking:  # no deadline ends them before the test fails
        await asyncio.to_thread(leave, blocking)
        await until(lambda: engine.closed == 6)
    async with ntv.AsyncClient(target, timeout_s=2 * PATIENCE_S) as client:
        async for _ in client.grow("hi"):
            break
        await until(lambda: engine.closed == 7)
        async with aclosing(client.influence("hi", 5)) as events:
            await anext(events)
        await until(lambda: engine.closed == 8)
        waiting = asyncio.ensure_future(anext(aiter_past(client.generate("hi"), 2)))
        await until(lambda: len(engine.queries) == 9)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await until(lambda: engine.closed == 9)


async def aiter_past(events: Any, count: int) -> AsyncIterator[Any]:
    """The stream after so many events."""
    async with aclosing(events):
        for _ in range(count):
            await anext(events)
        async for event in events:
            yield event


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_server_that_ends_breaks_streams_off(kind: str) -> None:
    engine = fakes.FakeEngine(breaks_after=1, gate=asyncio.Event())
    settings = Settings(model="bundled", grpc_port=0, drain_s=0, grace_s=0)
    async with server_here(settings, fakes.fetch, lambda name, folder: engine) as server:
        target = f"127.0.0.1:{server.port}"
        async with connect(target) as stub:
            await ready(stub, "bundled")
        reading = asyncio.create_task(taker(kind, target)("generate", "hi", max_tokens=5))
        await until(lambda: bool(engine.queries))
        await asyncio.sleep(0.2)
        await server.stop()
        events, error = await reading
    assert isinstance(error, ntv.Unavailable), repr(error)
    assert error.rest
    assert texts(events) == "j"


class Cancelling(pb_grpc.NextTokenServiceServicer):
    """Cancels a generation after its start, as a server may that stops."""

    async def Generate(self, request: pb.GenerateRequest, context: Any) -> AsyncIterator[pb.GenerateResponse]:
        yield pb.GenerateResponse(start=pb.GenerateStart(model="m", token_ids=[1], seed=3))
        await context.abort(grpc.StatusCode.CANCELLED, "stopping")


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_call_that_the_server_cancels_is_unavailable(kind: str) -> None:
    server = grpc.aio.server()
    pb_grpc.add_NextTokenServiceServicer_to_server(Cancelling(), server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    events, error = await taker(kind, f"127.0.0.1:{port}")("generate", "hi", max_tokens=2)
    await server.stop(None)
    assert isinstance(error, ntv.Unavailable)
    assert len(events) == 1
    assert error.rest == pb.GenerateRequest(
        model="m", token_ids=pb.TokenIds(ids=[1]), seed=3, max_tokens=2, resume=[pb.GeneratedSoFar(index=0)]
    )


def test_what_has_ended_is_not_asked_again() -> None:
    progress = Progress(pb.GenerateRequest(text="hi", n=2, max_tokens=2))
    assert progress.rest() is None
    token = pb.Candidate(token=pb.Token(token_id=7))
    for event in (
        pb.GenerateStart(model="m", token_ids=[1], seed=3),
        pb.GeneratedToken(index=0, token=token),
        pb.GenerateFinish(index=0),
    ):
        progress.note(event)
    rest = progress.rest()
    assert rest is not None
    assert list(rest.resume) == [pb.GeneratedSoFar(index=1)]
    later = Progress(rest)
    assert not later.complete
    later.note(pb.GenerateFinish(index=1))
    assert later.complete
