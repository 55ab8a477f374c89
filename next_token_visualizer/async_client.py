"""The client for asyncio; Client is the same for ordinary code."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Any, Self, Unpack

import grpc
from nexttoken.v1 import next_token_pb2 as pb
from nexttoken.v1 import next_token_pb2_grpc as pb_grpc

from next_token_visualizer import requests
from next_token_visualizer.connection import DEFAULT_TARGET, PLAINTEXT, TIMEOUT_S, Credentials, channel_options
from next_token_visualizer.errors import NextTokenError, error_of
from next_token_visualizer.events import GenerateEvent, GrowEvent, InfluenceEvent, event_of
from next_token_visualizer.options import (
    CompareOptions,
    GenerateOptions,
    GrowOptions,
    InfluenceOptions,
    LayersOptions,
    Prompt,
    Question,
    RenderChatOptions,
    ScoreOptions,
    TokenizeOptions,
    TopKOptions,
    Turn,
)
from next_token_visualizer.progress import Progress


class AsyncClient:
    """Talks to one inference server, or to several behind a `dns:///host:port` target.

    Calls that the server refuses for lack of capacity, or that find no server, are retried up to three times.
    Each method raises a NextTokenError if it fails.

    Streamed answers are generators: the call begins with the first event, is not retried after it, and is cancelled on
    the server when the generator is closed. `timeout_s` is for the whole stream; left out, it is the client's.
    """

    def __init__(
        self,
        target: str = DEFAULT_TARGET,
        *,
        credentials: Credentials = PLAINTEXT,
        session: str = "",
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """`session`: tells several users at one address apart, so that they share the server fairly."""
        channel = credentials.channel
        self._channel = (
            grpc.aio.secure_channel(target, channel, channel_options())
            if channel
            else grpc.aio.insecure_channel(target, channel_options())
        )
        self._stub: Any = pb_grpc.NextTokenServiceStub(self._channel)  # type: ignore[no-untyped-call]  # generated
        self._metadata = (*credentials.metadata, *((("x-session", session),) if session else ()))
        self._timeout_s = timeout_s

    async def top_k(self, prompt: Prompt, **options: Unpack[TopKOptions]) -> pb.TopKResponse:
        """The most likely next tokens of a text or of token ids."""
        answer: pb.TopKResponse = await self._call("TopK", requests.top_k(prompt, options))
        return answer

    async def score(self, prompt: Prompt, **options: Unpack[ScoreOptions]) -> pb.ScoreResponse:
        """How likely each token of a text is after those before it."""
        answer: pb.ScoreResponse = await self._call("Score", requests.score(prompt, options))
        return answer

    async def layers(self, prompt: Prompt, **options: Unpack[LayersOptions]) -> pb.LayersResponse:
        """How a prediction forms from layer to layer."""
        answer: pb.LayersResponse = await self._call("Layers", requests.layers(prompt, options))
        return answer

    async def compare(
        self, a: Prompt | Question, b: Prompt | Question, **options: Unpack[CompareOptions]
    ) -> pb.CompareResponse:
        """How two next-token distributions differ."""
        answer: pb.CompareResponse = await self._call("Compare", requests.compare(a, b, options))
        return answer

    async def tokenize(self, prompt: Prompt, **options: Unpack[TokenizeOptions]) -> pb.TokenizeResponse:
        """The tokens of a text or of token ids, without the model."""
        answer: pb.TokenizeResponse = await self._call("Tokenize", requests.tokenize(prompt, options))
        return answer

    async def render_chat(
        self, messages: Sequence[Turn], **options: Unpack[RenderChatOptions]
    ) -> pb.RenderChatResponse:
        """A conversation in the model's chat template, as token ids."""
        answer: pb.RenderChatResponse = await self._call("RenderChat", requests.render_chat(messages, options))
        return answer

    def generate(
        self, prompt: Prompt | pb.GenerateRequest, *, timeout_s: float | None = None, **options: Unpack[GenerateOptions]
    ) -> AsyncGenerator[GenerateEvent, None]:
        """Continues a prompt token by token. An error in the middle has the request for the rest: `rest`."""
        return self._generate(requests.generate(prompt, options), timeout_s)

    def grow(
        self, prompt: Prompt, *, timeout_s: float | None = None, **options: Unpack[GrowOptions]
    ) -> AsyncGenerator[GrowEvent, None]:
        """The tree of a prompt's most likely continuations, node by node."""
        return self._stream("Grow", requests.grow(prompt, options), timeout_s)

    def influence(
        self, prompt: Prompt, target: int, *, timeout_s: float | None = None, **options: Unpack[InfluenceOptions]
    ) -> AsyncGenerator[InfluenceEvent, None]:
        """Which parts of a prompt push a token, given by its id."""
        return self._stream("Influence", requests.influence(prompt, target, options), timeout_s)

    async def models(self) -> list[pb.Model]:
        """All models of the server."""
        return list((await self._call("ListModels", pb.ListModelsRequest())).models)

    async def watch_models(self) -> AsyncIterator[list[pb.Model]]:
        """All models, now and at each change, until the server stops; close the iterator to end it earlier."""
        call = self._stub.WatchModels(pb.WatchModelsRequest(), metadata=self._metadata)
        try:
            async for change in call:
                yield list(change.models)
        except grpc.RpcError as failure:
            raise error_of(failure) from failure
        finally:
            call.cancel()

    async def load_model(self, name: str) -> pb.Model:
        """Loads a model that failed again, without waiting for it."""
        answer: pb.LoadModelResponse = await self._call("LoadModel", pb.LoadModelRequest(name=name))
        return answer.model

    async def info(self) -> pb.InfoResponse:
        """The server's versions and limits."""
        answer: pb.InfoResponse = await self._call("Info", pb.InfoRequest())
        return answer

    async def close(self) -> None:
        """Ends the connection and the calls on it."""
        await self._channel.close(None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _call(self, name: str, request: object) -> Any:
        try:
            return await getattr(self._stub, name)(request, timeout=self._timeout_s, metadata=self._metadata)
        except grpc.RpcError as failure:
            raise error_of(failure) from failure

    async def _generate(
        self, request: pb.GenerateRequest, timeout_s: float | None
    ) -> AsyncGenerator[GenerateEvent, None]:
        progress = Progress(request)
        try:
            async with aclosing(self._stream("Generate", request, timeout_s)) as events:
                async for event in events:
                    progress.note(event)
                    yield event
        except NextTokenError as error:
            if progress.complete:
                return
            error.rest = progress.rest()
            raise

    async def _stream(self, name: str, request: object, timeout_s: float | None) -> AsyncGenerator[Any, None]:
        """The events of a streamed answer. Closing this cancels the call."""
        timeout_s = self._timeout_s if timeout_s is None else timeout_s
        call = getattr(self._stub, name)(request, timeout=timeout_s, metadata=self._metadata)
        try:
            async for response in call:
                yield event_of(response)
        except grpc.RpcError as failure:
            raise error_of(failure) from failure
        finally:
            call.cancel()
