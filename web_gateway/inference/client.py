"""The inference server's RPCs as async methods: deadlines, metadata, errors."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any, cast

import grpc
import structlog
from grpc import StatusCode
from msgspec import Struct
from nexttoken.v1 import next_token_pb2 as pb

from service_kit import tracing
from web_gateway import (
    about,
    chat_messages,
    compare_messages,
    errors,
    generate_messages,
    grow_messages,
    influence_messages,
    layer_messages,
    messages,
    model_messages,
    tokenize_messages,
)
from web_gateway.inference import convert, failures
from web_gateway.inference.call import Call
from web_gateway.inference.calls import answer_of, until
from web_gateway.inference.channel import Connection, Link, open_link
from web_gateway.inference.channel_options import SESSION_KEY
from web_gateway.inference.resume import PAUSE_S, Generation, Growth, Progress
from web_gateway.settings import Settings

REQUEST_ID_KEY = "x-request-id"
CLIENT_KEY = "x-client"
HEALTH_TIMEOUT_S = 2.0  # a slower health check counts as not ready
MIN_WATCH_INTERVAL_S = 1.0  # between the starts of two watches
CONVERT_IN_THREAD_BYTES = 2**18
TIMED_OUT = failures.TIMED_OUT

Event = tuple[str, Struct]
"""The name of a stream's event, and its content."""

logger = structlog.get_logger()


@asynccontextmanager
async def connect(settings: Settings) -> AsyncIterator["InferenceClient"]:
    """A client, closed on exit. Raises SettingsError."""
    async with open_link(settings) as link:
        yield InferenceClient(link)


class InferenceClient:
    """Methods return structs or raise GatewayError. Cancelling one cancels its RPC on the server."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def next_token(self, query: messages.NextTokenRequest, call: Call) -> messages.NextTokenAnswer:
        """The most likely next tokens of a prompt."""
        answer = await self._unary("TopK", convert.to_message(query, pb.TopKRequest), call)
        return convert.next_token_answer(answer, query.include_prompt_tokens)

    async def score(self, query: messages.ScoreRequest, call: Call) -> messages.ScoreAnswer:
        """The probability of each token of a text."""
        answer = await self._unary("Score", convert.to_message(query, pb.ScoreRequest), call)
        if answer.ByteSize() < CONVERT_IN_THREAD_BYTES:
            return convert.score_answer(answer)
        return await asyncio.to_thread(convert.score_answer, answer)  # would block the event loop for up to seconds

    async def layers(self, query: layer_messages.LayersRequest, call: Call) -> layer_messages.LayersAnswer:
        """How a prediction forms from layer to layer."""
        answer = await self._unary("Layers", convert.to_message(query, pb.LayersRequest), call)
        return await asyncio.to_thread(convert.layers_answer, answer, query.include_prompt_tokens)

    async def generate(self, query: generate_messages.GenerateRequest, call: Call) -> AsyncGenerator[Event, None]:
        """The continuations of a prompt, token by token; where its server is gone or full, another one goes on."""
        progress = Generation(convert.to_message(query, pb.GenerateRequest))
        async with aclosing(self._going_on("Generate", progress, call, convert.GENERATE_EVENTS)) as events:
            async for event in events:
                yield event

    async def grow(self, query: grow_messages.GrowRequest, call: Call) -> AsyncGenerator[Event, None]:
        """The tree of a prompt's most likely continuations, node by node; goes on as generate does."""
        progress = Growth(convert.to_message(query, pb.GrowRequest))
        async with aclosing(self._going_on("Grow", progress, call, convert.GROW_EVENTS)) as events:
            async for event in events:
                yield event

    async def compare(self, query: compare_messages.CompareRequest, call: Call) -> compare_messages.CompareAnswer:
        """How two next-token distributions differ."""
        answer = await self._unary("Compare", convert.to_message(query, pb.CompareRequest), call)
        return convert.compare_answer(answer, query.include_prompt_tokens)

    async def influence(self, query: influence_messages.InfluenceRequest, call: Call) -> AsyncGenerator[Event, None]:
        """Which parts of a prompt push a token."""
        request = convert.to_message(query, pb.InfluenceRequest)
        async with aclosing(self._stream("Influence", request, call, convert.INFLUENCE_EVENTS)) as events:
            async for event in events:
                yield event

    async def render_chat(self, query: chat_messages.RenderChatRequest, call: Call) -> chat_messages.RenderChatAnswer:
        """A conversation in the model's chat template."""
        answer = await self._unary("RenderChat", convert.to_message(query, pb.RenderChatRequest), call)
        return convert.to_struct(answer, chat_messages.RenderChatAnswer)

    async def tokenize(self, query: tokenize_messages.TokenizeRequest, call: Call) -> tokenize_messages.TokenizeAnswer:
        """The tokens of a text or of ids."""
        answer = await self._unary("Tokenize", convert.to_message(query, pb.TokenizeRequest), call)
        if answer.ByteSize() < CONVERT_IN_THREAD_BYTES:
            return convert.tokenize_answer(answer)
        return await asyncio.to_thread(convert.tokenize_answer, answer)

    async def models(self, call: Call) -> model_messages.ModelList:
        """Every model and its state."""
        return convert.to_struct(
            await self._unary("ListModels", pb.ListModelsRequest(), call), model_messages.ModelList
        )

    async def load(self, name: str, call: Call) -> model_messages.Model:
        """Starts loading a failed model; returns its state now."""
        answer = await self._unary("LoadModel", pb.LoadModelRequest(name=name), call)
        return convert.to_struct(answer.model, model_messages.Model)

    async def info(self, call: Call) -> about.ServerInfo:
        """The inference server's versions, limits and uptime."""
        return convert.to_struct(await self._unary("Info", pb.InfoRequest(), call), about.ServerInfo)

    async def watch(self, call: Call) -> AsyncIterator[model_messages.ModelList]:
        """Every model now and on each change. Ends only by raising; Unavailable if the server stops.

        A stream that breaks after its first message is reopened: another replica may answer, and connections get
        replaced.
        """
        while True:
            received, started = False, time.monotonic()
            try:
                async with self._connection("WatchModels", call, quiet=True) as connection:
                    stream = connection.stub.WatchModels(pb.WatchModelsRequest(), **self._options(call))
                    async for change in until(connection.replaced, stream):
                        received = True
                        yield convert.to_struct(change, model_messages.ModelList)
            except errors.Unavailable:
                if not received:
                    raise
            else:
                if not received and not connection.replaced.is_set():
                    raise errors.Unavailable(failures.STOPPING)
            if (wait_s := started + MIN_WATCH_INTERVAL_S - time.monotonic()) > 0:
                await asyncio.sleep(wait_s)

    async def check_ready(self, call: Call, quiet: bool = False) -> None:
        """Returns if the server can answer, else raises Unavailable."""
        try:
            async with self._connection("Check", call, quiet) as connection:
                serving = await self._is_serving(connection, call)
                if serving:  # health needs no token, the other RPCs may
                    options = {**self._options(call), "timeout": health_timeout_s(call)}
                    await answer_of(connection.stub.Info(pb.InfoRequest(), **options))
        except errors.Unavailable:
            raise
        except errors.GatewayError as error:
            raise errors.Unavailable(failures.UNREACHABLE) from error
        if not serving:
            raise errors.Unavailable(failures.NOT_READY)

    async def _unary(self, rpc: str, request: Any, call: Call) -> Any:
        with tracing.span(rpc, "CLIENT"):
            async with self._connection(rpc, call) as connection:
                options = self._options(call, *tracing.carried())
                return await answer_of(getattr(connection.stub, rpc)(request, **options))

    async def _stream(
        self, rpc: str, request: Any, call: Call, kinds: Mapping[str, type[Struct]]
    ) -> AsyncGenerator[Event, None]:
        """The events of a streaming RPC. Closing this cancels it."""
        async with self._connection(rpc, call) as connection:
            stream = getattr(connection.stub, rpc)(request, **self._options(call, *tracing.carried()))
            async with aclosing(until(asyncio.Event(), stream)) as answers:
                async for answer in answers:
                    yield convert.to_event(answer, kinds)

    async def _going_on(
        self, rpc: str, progress: Progress, call: Call, kinds: Mapping[str, type[Struct]]
    ) -> AsyncGenerator[Event, None]:
        """The events of a streaming RPC, asked again for the rest while its servers are gone or full."""
        while not progress.complete:
            try:
                async with aclosing(self._stream(rpc, progress.request, call, kinds)) as events:
                    async for event in events:
                        if progress.takes(event[1]):
                            yield event
            except (errors.Unavailable, errors.Overloaded) as error:
                progress.go_on(error)
                await asyncio.sleep(PAUSE_S)

    def _options(self, call: Call, *more: tuple[str, str]) -> dict[str, Any]:
        """The timeout and metadata of an RPC."""
        context = [(REQUEST_ID_KEY, call.request_id), (SESSION_KEY, call.session), (CLIENT_KEY, call.address)]
        if application := self._link.ray_application:  # Ray's proxy routes by these, and logs the last one
            context += [("application", application), ("session_id", call.session), ("request_id", call.request_id)]
        metadata = (*((key, value) for key, value in context if value), *self._link.headers, *more)
        return {"timeout": call.remaining_s(), "metadata": metadata}

    @asynccontextmanager
    async def _connection(self, rpc: str, call: Call, quiet: bool = False) -> AsyncIterator[Connection]:
        """The connection for one RPC; raises its failure as a GatewayError. `quiet` is for RPCs that are polled."""
        connection = self._link.connection
        try:
            with connection.call():
                yield connection
        except grpc.aio.AioRpcError as failure:
            trailers: dict[str, Any] = dict(cast(Any, failure.trailing_metadata() or ()))
            if failures.DETAILS_KEY in trailers:
                raise failures.from_server(failure, trailers) from None
            log = logger.debug if quiet else logger.warning
            log("RPC failed", rpc=rpc, code=failure.code().name, details=failure.details())
            if failure.code() is StatusCode.CANCELLED:
                raise await self._cancelled_by_server(connection, call) from None
            fault = await self._link.fault() if failure.code() is StatusCode.UNAVAILABLE else None
            if fault:
                raise errors.Unavailable(fault) from None
            if self._link.ray_application:
                raise failures.from_ray(failure, trailers) from None
            raise failures.from_grpc(failure.code()) from None

    async def _cancelled_by_server(self, connection: Connection, call: Call) -> errors.GatewayError:
        """Why the server cancelled a call: it is overloaded if it still reports SERVING, else stopping."""
        try:
            serving = await self._is_serving(connection, call)
        except grpc.aio.AioRpcError:
            return errors.Unavailable(failures.UNREACHABLE)
        if serving:
            return errors.Overloaded(failures.DROPPED, failures.RETRY_AFTER_S)
        return errors.Unavailable(failures.STOPPING)

    async def _is_serving(self, connection: Connection, call: Call) -> bool:
        return await connection.health.serving(**{**self._options(call), "timeout": health_timeout_s(call)})


def health_timeout_s(call: Call) -> float:
    """Seconds that a health check may take."""
    remaining = call.remaining_s()
    return HEALTH_TIMEOUT_S if remaining is None else min(remaining, HEALTH_TIMEOUT_S)
