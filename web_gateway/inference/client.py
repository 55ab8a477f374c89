"""The inference server as plain calls: deadlines, retries, refusals. Knows gRPC's calls; knows no HTTP."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import grpc
import structlog
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode
from grpc_health.v1 import health_pb2
from nexttoken.v1 import next_token_pb2 as pb

from service_kit import tracing
from service_kit.logs import request_id
from web_gateway import about, errors, messages
from web_gateway.inference import convert
from web_gateway.inference.calls import answer_of, until
from web_gateway.inference.channel import SESSION_KEY, Connection, Link, linked
from web_gateway.settings import Settings

REQUEST_ID_KEY = "x-request-id"
CLIENT_KEY = "x-client"
DETAILS_KEY = "grpc-status-details-bin"
PUSHBACK_KEY = "grpc-retry-pushback-ms"
READY_WITHIN_S = 2.0  # a health check that takes longer is an answer too
WATCH_EVERY_S = 1.0  # from one watch's beginning to the next one's
LONG_ANSWER_BYTES = 2**18

UNREACHABLE = "The inference server can't be reached. It may be starting or stopped; try again in a moment."
UNWELCOME = "The inference server refuses this gateway: {words}. NEXTTOKEN_AUTH_TOKEN must be the same for both."
NOT_READY = "The inference server runs, but no model can answer yet."
STOPPED = "The inference server is stopping; try again in a moment."
CROWDED = "The inference server dropped this request among too many others; try again in a moment."
ASK_AGAIN_S = 1.0
TOO_LATE = "The answer took longer than this server waits; try again, or with a shorter text."
TOO_LONG = (
    f"The answer would be longer than {about.MAX_ANSWER_BYTES >> 20} MiB; ask for fewer alternatives or a shorter text."
)
FAULT = "The inference server could not answer; its log has the details under this request's id."

logger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Call:
    """What goes with a question: the id that joins the logs, the time.monotonic() at which nobody waits, and who asks.

    The inference server deals fairly among those who ask: by the session they name, else by their address.
    """

    request_id: str
    deadline: float | None
    session: str | None = None
    address: str | None = None

    @classmethod
    def endless(cls) -> "Call":
        """A call of the gateway's own that waits for ever."""
        return cls(request_id(None), None)

    def remaining_s(self) -> float | None:
        """Seconds left, at least 0; None: no limit."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())


@asynccontextmanager
async def connect(settings: Settings) -> AsyncIterator["InferenceClient"]:
    """A client of the inference server; closed at the end. Raises SettingsError."""
    async with linked(settings) as link:
        yield InferenceClient(link)


class InferenceClient:
    """Each call answers in plain values or raises a GatewayError. Cancelling it cancels the call in the server."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def next_token(self, query: messages.NextTokenRequest, call: Call) -> messages.NextTokenAnswer:
        """The most likely next tokens of a prompt."""
        answer = await self._ask("TopK", convert.to_message(query, pb.TopKRequest), call)
        return convert.next_token_answer(answer, query.include_prompt_tokens)

    async def score(self, query: messages.ScoreRequest, call: Call) -> messages.ScoreAnswer:
        """How likely the model found each token of a text."""
        answer = await self._ask("Score", convert.to_message(query, pb.ScoreRequest), call)
        if answer.ByteSize() < LONG_ANSWER_BYTES:
            return convert.score_answer(answer)
        return await asyncio.to_thread(convert.score_answer, answer)  # seconds, while others wait

    async def models(self, call: Call) -> messages.ModelList:
        """Every model and its state."""
        return convert.to_struct(await self._ask("ListModels", pb.ListModelsRequest(), call), messages.ModelList)

    async def load(self, name: str, call: Call) -> messages.Model:
        """Starts loading a model that failed; its state now."""
        answer = await self._ask("LoadModel", pb.LoadModelRequest(name=name), call)
        return convert.to_struct(answer.model, messages.Model)

    async def info(self, call: Call) -> about.ServerInfo:
        """What the inference server is."""
        return convert.to_struct(await self._ask("Info", pb.InfoRequest(), call), about.ServerInfo)

    async def watch(self, call: Call) -> AsyncIterator[messages.ModelList]:
        """Every model now and at each change. Ends only by an error, Unavailable where the server stops.

        A watch that was under way and breaks off is taken up again: the server it was on may be one of several, and
        connections are renewed.
        """
        while True:
            heard, begun = False, time.monotonic()
            try:
                async with self._line("WatchModels", call, quiet=True) as line:
                    changes = line.calls.WatchModels(pb.WatchModelsRequest(), **self._terms(call))
                    async for change in until(line.replaced, changes):
                        heard = True
                        yield convert.to_struct(change, messages.ModelList)
            except errors.Unavailable:
                if not heard:
                    raise
            else:
                if not heard and not line.replaced.is_set():
                    raise errors.Unavailable(STOPPED)
            if (early_s := begun + WATCH_EVERY_S - time.monotonic()) > 0:
                await asyncio.sleep(early_s)

    async def check_ready(self, call: Call, quiet: bool = False) -> None:
        """Returns when the server can answer; else raises Unavailable."""
        try:
            async with self._line("Check", call, quiet) as line:
                terms = {**self._terms(call), "timeout": within(call)}
                answer = await answer_of(line.health.Check(health_pb2.HealthCheckRequest(), **terms))
                if (
                    answer.status == health_pb2.HealthCheckResponse.SERVING
                ):  # health is open to all; the rest may not be
                    await answer_of(line.calls.Info(pb.InfoRequest(), **terms))
        except errors.Unavailable:
            raise
        except errors.GatewayError as error:
            raise errors.Unavailable(UNREACHABLE) from error
        if answer.status != health_pb2.HealthCheckResponse.SERVING:
            raise errors.Unavailable(NOT_READY)

    async def _ask(self, rpc: str, request: Any, call: Call) -> Any:
        with tracing.span(rpc, "CLIENT"):
            async with self._line(rpc, call) as line:
                return await answer_of(getattr(line.calls, rpc)(request, **self._terms(call, *tracing.carried())))

    def _terms(self, call: Call, *more: tuple[str, str]) -> dict[str, Any]:
        """The time and the metadata of a call."""
        named = ((REQUEST_ID_KEY, call.request_id), (SESSION_KEY, call.session), (CLIENT_KEY, call.address))
        metadata = (*((key, value) for key, value in named if value), *self._link.headers, *more)
        return {"timeout": call.remaining_s(), "metadata": metadata}

    @asynccontextmanager
    async def _line(self, rpc: str, call: Call, quiet: bool = False) -> AsyncIterator[Connection]:
        """The line to make a call on; turns the call's failure into the GatewayError it stands for.

        Only words that came with google.rpc.Status details are passed on: the inference server meant them for the
        caller. Whatever else gRPC says is for the log; `quiet` is for calls that are made again and again.
        """
        line = self._link.line
        try:
            with line.busy():
                yield line
        except grpc.aio.AioRpcError as failure:
            trailers: dict[str, Any] = dict(cast(Any, failure.trailing_metadata() or ()))
            if DETAILS_KEY in trailers:
                raise told(failure, trailers) from None
            log = logger.debug if quiet else logger.warning
            log("call failed", rpc=rpc, code=failure.code().name, details=failure.details())
            if failure.code() is StatusCode.CANCELLED:
                raise await self._dropped(line, call) from None
            fault = await self._link.fault() if failure.code() is StatusCode.UNAVAILABLE else None
            raise errors.Unavailable(fault) if fault else untold(failure.code()) from None

    async def _dropped(self, line: Connection, call: Call) -> errors.GatewayError:
        """Why a server cancels what nobody took back: it is stopping, if its health says so, or has too much to do."""
        try:
            asked = line.health.Check(health_pb2.HealthCheckRequest(), **self._terms(call) | {"timeout": within(call)})
            serving = (await answer_of(asked)).status == health_pb2.HealthCheckResponse.SERVING
        except grpc.aio.AioRpcError:
            return errors.Unavailable(UNREACHABLE)
        return errors.Overloaded(CROWDED, ASK_AGAIN_S) if serving else errors.Unavailable(STOPPED)


def within(call: Call) -> float:
    """Seconds that a question about health may take."""
    left = call.remaining_s()
    return READY_WITHIN_S if left is None else min(left, READY_WITHIN_S)


def told(failure: grpc.aio.AioRpcError, trailers: dict[str, Any]) -> errors.GatewayError:
    """The refusal the inference server put into words."""
    words = failure.details() or ""
    match failure.code():
        case StatusCode.INVALID_ARGUMENT:
            return errors.InvalidRequest(words, field_at_fault(trailers[DETAILS_KEY]))
        case StatusCode.NOT_FOUND:
            return errors.NotFound(words)
        case StatusCode.FAILED_PRECONDITION:
            return errors.ModelFailed(words)
        case StatusCode.UNAVAILABLE:
            return errors.Unavailable(words)
        case StatusCode.UNAUTHENTICATED:
            logger.error("the inference server refuses this gateway", reason=words)
            return errors.Unavailable(UNWELCOME.format(words=words))
        case StatusCode.DEADLINE_EXCEEDED:
            return errors.DeadlineExceeded(words)
        case StatusCode.INTERNAL:
            return errors.InternalFault(words)
        case StatusCode.RESOURCE_EXHAUSTED:
            milliseconds = str(trailers.get(PUSHBACK_KEY, ""))
            return errors.Overloaded(words, int(milliseconds) / 1000 if milliseconds.isdecimal() else 1)
        case code:
            return untold(code)


def untold(code: StatusCode) -> errors.GatewayError:
    """The refusal in our words, where gRPC itself or a fault speaks."""
    match code:
        case StatusCode.UNAVAILABLE:
            return errors.Unavailable(UNREACHABLE)
        case StatusCode.DEADLINE_EXCEEDED:
            return errors.DeadlineExceeded(TOO_LATE)
        case StatusCode.RESOURCE_EXHAUSTED:  # this side refused to read it: overload always comes with details
            return errors.InvalidRequest(TOO_LONG, "top_k")
        case _:
            return errors.InternalFault(FAULT)


def field_at_fault(details: bytes) -> str | None:
    """The field a google.rpc.BadRequest names."""
    for detail in status_pb2.Status.FromString(details).details:
        fault = error_details_pb2.BadRequest()
        if detail.Unpack(fault):
            return next((violation.field for violation in fault.field_violations), None)
    return None
