"""The gRPC service: reads requests, calls the engine, writes responses."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing
from functools import partial
from typing import Any

from nexttoken.v1 import next_token_pb2 as pb
from nexttoken.v1 import next_token_pb2_grpc as pb_grpc

from inference_server import errors
from inference_server.api import convert
from inference_server.api.calls import Context, answering, client, counted, deadline
from inference_server.api.influence_wire import read_influence, write_influence
from inference_server.api.info import ServerInfo
from inference_server.api.interceptors import Intake
from inference_server.chat_messages import RenderChatQuery
from inference_server.compare_messages import CompareQuery
from inference_server.generate_messages import FinishReason, GenerateFinish, GenerateQuery, GenerateStart
from inference_server.grow_messages import GrowFinish, GrowQuery, GrowStart
from inference_server.influence_messages import InfluenceEnd, InfluenceStart
from inference_server.layer_messages import LayersQuery
from inference_server.messages import Client, ScoreQuery, Timings, TopKQuery
from inference_server.models.registry import Engine, Registry
from inference_server.ops.metrics import Metrics
from inference_server.tokenize_messages import TokenizeQuery
from service_kit import tracing

Prompted = (
    pb.TopKRequest
    | pb.ScoreRequest
    | pb.LayersRequest
    | pb.GenerateRequest
    | pb.GrowRequest
    | pb.InfluenceRequest
    | pb.TokenizeRequest
)
LARGE_SCORE = 4_000  # candidates, about 10 ms to convert: larger answers are converted in a thread
LARGE_TEXT = 4_000  # tokens, likewise


class NextTokenService(pb_grpc.NextTokenServiceServicer):
    """Implements NextTokenService."""

    def __init__(
        self, registry: Registry, metrics: Metrics, info: ServerInfo, *, log_text: bool, trust_callers: bool
    ) -> None:
        """`log_text`: log prompts. `trust_callers`: believe the client address in a caller's metadata."""
        self.registry = registry
        self.info = info
        self.metrics = metrics
        self._log_text = log_text
        self._trust_callers = trust_callers
        self._intake = Intake()

    async def TopK(self, request: pb.TopKRequest, context: Context) -> pb.TopKResponse:
        async with self._answering("TopK", request, context) as notes:
            engine = self._engine(request, notes)
            answer = await engine.top_k(convert.read_query(TopKQuery, request), *self._caller(context))
            notes["tokens"] = answer.token_count
            self._answered("TopK", notes, answer.timings)
            return convert.write_top_k(notes["model"], answer)

    async def Score(self, request: pb.ScoreRequest, context: Context) -> pb.ScoreResponse:
        async with self._answering("Score", request, context) as notes:
            engine = self._engine(request, notes)
            answer = await engine.score(convert.read_query(ScoreQuery, request), *self._caller(context))
            notes["tokens"] = len(answer.tokens)
            self._answered("Score", notes, answer.timings)
            write = partial(convert.write_score, notes["model"], answer)
            large = len(answer.tokens) * (request.top_k + 1) > LARGE_SCORE
            return await asyncio.to_thread(write) if large else write()

    async def Layers(self, request: pb.LayersRequest, context: Context) -> pb.LayersResponse:
        async with self._answering("Layers", request, context) as notes:
            engine = self._engine(request, notes)
            answer = await engine.layers(convert.read_query(LayersQuery, request), *self._caller(context))
            notes["tokens"] = answer.token_count
            self._answered("Layers", notes, answer.timings)
            return await asyncio.to_thread(convert.write_layers, notes["model"], answer)  # thousands of values

    async def Generate(self, request: pb.GenerateRequest, context: Context) -> AsyncIterator[pb.GenerateResponse]:
        async with self._answering("Generate", request, context) as notes:
            engine = self._engine(request, notes)
            query = convert.read_query(GenerateQuery, request)
            events = engine.generate(query, *self._caller(context))
            unfinished = len(query.resume) or query.n
            try:
                async with aclosing(counted("Generate", events, notes, self.metrics)) as stream:
                    async for event in stream:
                        if isinstance(event, GenerateStart):
                            notes["tokens"] = len(event.token_ids)
                        if isinstance(event, GenerateFinish):
                            unfinished -= 1
                            self.metrics.count_finish(notes["model"], event.finish_reason.value)
                            if not unfinished:
                                self._answered("Generate", notes, event.timings)
                        yield convert.write_generate(notes["model"], event)
            except (asyncio.CancelledError, GeneratorExit):
                self.metrics.count_finish(notes["model"], FinishReason.CANCELLED.value, unfinished)
                raise

    async def Grow(self, request: pb.GrowRequest, context: Context) -> AsyncIterator[pb.GrowResponse]:
        async with self._answering("Grow", request, context) as notes:
            engine = self._engine(request, notes)
            events = engine.grow(convert.read_query(GrowQuery, request), *self._caller(context))
            async with aclosing(counted("Grow", events, notes, self.metrics)) as stream:
                async for event in stream:
                    if isinstance(event, GrowStart):
                        notes["tokens"] = len(event.token_ids)
                    if isinstance(event, GrowFinish):
                        notes["nodes"] = event.node_count
                        self._answered("Grow", notes, event.timings)
                    yield convert.write_grow(notes["model"], event)

    async def Compare(self, request: pb.CompareRequest, context: Context) -> pb.CompareResponse:
        async with self._answering("Compare", request, context) as notes:
            (notes["model"], engine), (notes["other_model"], other) = (
                self._engine_of(side, question.model) for side, question in (("a", request.a), ("b", request.b))
            )
            notes |= {"a": prompt(request.a), "b": prompt(request.b)} if self._log_text else {}
            answer = await engine.compare(convert.read_query(CompareQuery, request), other, *self._caller(context))
            notes["tokens"] = answer.a.token_count + answer.b.token_count
            self._answered("Compare", notes, answer.timings)
            return convert.write_compare(answer)

    def _engine_of(self, side: str, name: str) -> tuple[str, Engine]:
        """The model of one side; refusals say which side's it is."""
        try:
            return self.registry.engine(name)
        except errors.ServingError as error:
            raise type(error)(f"{side}: {error}") from error

    async def Influence(self, request: pb.InfluenceRequest, context: Context) -> AsyncIterator[pb.InfluenceResponse]:
        async with self._answering("Influence", request, context) as notes:
            engine = self._engine(request, notes)
            events = engine.influence(read_influence(request), *self._caller(context))
            async with aclosing(counted("Influence", events, notes, self.metrics)) as stream:
                async for event in stream:
                    if isinstance(event, InfluenceStart):
                        notes["tokens"] = event.token_count
                    if isinstance(event, InfluenceEnd):
                        self._answered("Influence", notes, event.timings)
                    yield write_influence(notes["model"], event)

    async def RenderChat(self, request: pb.RenderChatRequest, context: Context) -> pb.RenderChatResponse:
        async with self._answering("RenderChat", request, context) as notes:
            notes["model"], engine = self.registry.engine(request.model)
            query = convert.read_query(RenderChatQuery, request)
            notes |= {"messages": [each.content for each in query.messages]} if self._log_text else {}
            answer = await engine.render_chat(query, *self._caller(context))
            notes["tokens"] = len(answer.tokens)
            self._answered("RenderChat", notes, answer.timings)
            return convert.write_chat(notes["model"], answer)

    async def Tokenize(self, request: pb.TokenizeRequest, context: Context) -> pb.TokenizeResponse:
        async with self._answering("Tokenize", request, context) as notes:
            engine = self._engine(request, notes)
            answer = await engine.tokenize(convert.read_query(TokenizeQuery, request), *self._caller(context))
            notes["tokens"] = len(answer.tokens)
            self._answered("Tokenize", notes, answer.timings)
            write = partial(convert.write_tokens, notes["model"], answer)
            return await asyncio.to_thread(write) if len(answer.tokens) > LARGE_TEXT else write()

    async def ListModels(self, request: pb.ListModelsRequest, context: Context) -> pb.ListModelsResponse:
        async with self._answering("ListModels", request, context):
            return pb.ListModelsResponse(models=map(convert.write_model, self.registry.models()))

    async def WatchModels(
        self, request: pb.WatchModelsRequest, context: Context
    ) -> AsyncIterator[pb.WatchModelsResponse]:
        async with self._answering("WatchModels", request, context), aclosing(self.registry.watch()) as changes:
            async for models in changes:
                yield pb.WatchModelsResponse(models=map(convert.write_model, models))

    async def LoadModel(self, request: pb.LoadModelRequest, context: Context) -> pb.LoadModelResponse:
        async with self._answering("LoadModel", request, context) as notes:
            status = self.registry.retry(request.name)
            notes["model"] = status.name
            return pb.LoadModelResponse(model=convert.write_model(status))

    async def Info(self, request: pb.InfoRequest, context: Context) -> pb.InfoResponse:
        async with self._answering("Info", request, context):
            return convert.write_info(self.info.now())

    def _engine(self, request: Prompted, notes: dict[str, Any]) -> Engine:
        """The asked model's engine. Notes the model, and the prompt if prompts are logged."""
        notes["model"], engine = self.registry.engine(request.model)
        notes |= prompt(request) if self._log_text else {}
        return engine

    def _caller(self, context: Context) -> tuple[float | None, Client]:
        """The deadline, and who asks."""
        return deadline(context), self._client(context)

    def _client(self, context: Context) -> Client:
        return client(context, self._trust_callers)

    def _answered(self, rpc: str, notes: dict[str, Any], timings: Timings) -> None:
        """Records an answer's phases in metrics and traces."""
        self.metrics.count_answer(rpc, notes["model"], notes["tokens"], timings)
        ended = time.monotonic()
        started = ended - timings.total_ms / 1000
        tokenized = started + timings.tokenize_ms / 1000
        dequeued = tokenized + timings.queue_ms / 1000
        tracing.phase("tokenize", started, tokenized)
        tracing.phase("queue", tokenized, dequeued)
        tracing.phase("model", dequeued, ended, computing_ms=timings.model_ms)

    def _answering(self, rpc: str, request: object, context: Context) -> AbstractAsyncContextManager[dict[str, Any]]:
        return answering(rpc, request, context, self.metrics, self._intake.turn(self._client(context).address))


def prompt(request: Prompted | pb.ComparedQuestion) -> dict[str, Any]:
    """The prompt, for the log."""
    kind = request.WhichOneof("prompt")
    return {"token_ids": list(request.token_ids.ids)} if kind == "token_ids" else {"text": request.text}
