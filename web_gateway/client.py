"""The inference server as plain calls: channel, deadlines, refusals. The one file that knows gRPC; it knows no HTTP."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, cast

import grpc
import structlog
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode
from grpc_health.v1 import health_pb2, health_pb2_grpc
from nexttoken.v1 import next_token_pb2 as pb
from nexttoken.v1 import next_token_pb2_grpc as pb_grpc

from service_kit.logs import request_id
from web_gateway import errors, values, wire
from web_gateway.settings import Settings

REQUEST_ID_KEY = "x-request-id"
SESSION_KEY = "x-session"
CLIENT_KEY = "x-client"
DETAILS_KEY = "grpc-status-details-bin"
PUSHBACK_KEY = "grpc-retry-pushback-ms"
READY_WITHIN_S = 2.0  # a health check that takes longer is an answer too
MAX_ANSWER_MIB = 16
LONG_ANSWER_BYTES = 2**18

OPTIONS = (
    ("grpc.enable_http_proxy", 0),  # the inference server is a neighbour
    ("grpc.http2.max_pings_without_data", 0),  # no limit: a watch may be quiet for days
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.keepalive_time_ms", 30_000),  # finds a dead peer under a quiet watch
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.max_receive_message_length", MAX_ANSWER_MIB * 2**20),
    ("grpc.max_reconnect_backoff_ms", 2_000),  # back soon after the server is
    ("grpc.min_reconnect_backoff_ms", 2_000),  # an attempt's own time limit
)
SEVERAL = ("dns:", "ipv4:", "ipv6:")  # targets that name every address of a kind: each gets its share of the calls
SEVERAL_SERVERS = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "healthCheckConfig": {"serviceName": ""},
}

UNREACHABLE = "The inference server can't be reached. It may be starting or stopped; try again in a moment."
NOT_READY = "The inference server runs, but no model can answer yet."
STOPPED = "The inference server is stopping; try again in a moment."
TOO_LATE = "The answer took longer than this server waits; try again, or with a shorter text."
TOO_LONG = f"The answer would be longer than {MAX_ANSWER_MIB} MiB; ask for fewer alternatives or a shorter text."
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
    """A client whose channel opens at the first call and whenever the server returns; closed at the end."""
    options: list[tuple[str, Any]] = list(OPTIONS)
    if settings.inference_target.startswith(SEVERAL):
        options.append(("grpc.service_config", json.dumps(SEVERAL_SERVERS)))
    async with grpc.aio.insecure_channel(settings.inference_target, options) as channel:
        yield InferenceClient(channel)


class InferenceClient:
    """Each call answers in plain values or raises a GatewayError. Cancelling it cancels the call in the server."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._calls = pb_grpc.NextTokenServiceStub(channel)  # type: ignore[no-untyped-call]  # generated
        self._health = health_pb2_grpc.HealthStub(channel)

    async def next_token(self, query: values.NextTokenRequest, call: Call) -> values.NextTokenAnswer:
        """The most likely next tokens of a prompt."""
        answer = await self._ask(self._calls.TopK, wire.top_k_request(query), call)
        return wire.next_token_answer(answer, query.include_prompt_tokens)

    async def score(self, query: values.ScoreRequest, call: Call) -> values.ScoreAnswer:
        """How likely the model found each token of a text."""
        answer = await self._ask(self._calls.Score, wire.score_request(query), call)
        if answer.ByteSize() < LONG_ANSWER_BYTES:
            return wire.score_answer(answer)
        return await asyncio.to_thread(wire.score_answer, answer)  # seconds, while others wait

    async def models(self, call: Call) -> values.ModelList:
        """Every model and its state."""
        return wire.model_list((await self._ask(self._calls.ListModels, pb.ListModelsRequest(), call)).models)

    async def load(self, name: str, call: Call) -> values.Model:
        """Starts loading a model that failed; its state now."""
        return wire.model((await self._ask(self._calls.LoadModel, pb.LoadModelRequest(name=name), call)).model)

    async def watch(self, call: Call) -> AsyncIterator[values.ModelList]:
        """Every model now and at each change. Ends only by an error, Unavailable where the server stops."""
        with refusals("WatchModels", quiet=True):
            async for change in self._calls.WatchModels(pb.WatchModelsRequest(), **terms(call)):
                yield wire.model_list(change.models)
        raise errors.Unavailable(STOPPED)

    async def check_ready(self, call: Call, quiet: bool = False) -> None:
        """Returns when the server can answer; else raises Unavailable."""
        left = call.remaining_s()
        within = READY_WITHIN_S if left is None else min(left, READY_WITHIN_S)
        try:
            with refusals("Check", quiet):
                answer = await self._health.Check(health_pb2.HealthCheckRequest(), **{**terms(call), "timeout": within})
        except errors.GatewayError as error:
            raise errors.Unavailable(UNREACHABLE) from error
        if answer.status != health_pb2.HealthCheckResponse.SERVING:
            raise errors.Unavailable(NOT_READY)

    async def _ask(self, method: Any, request: Any, call: Call) -> Any:
        with refusals(type(request).__name__.removesuffix("Request")):
            return await method(request, **terms(call))


def terms(call: Call) -> dict[str, Any]:
    """The time and the metadata of a call."""
    named = ((REQUEST_ID_KEY, call.request_id), (SESSION_KEY, call.session), (CLIENT_KEY, call.address))
    return {"timeout": call.remaining_s(), "metadata": tuple((key, value) for key, value in named if value)}


@contextmanager
def refusals(rpc: str, quiet: bool = False) -> Iterator[None]:
    """Turns a call's failure into the GatewayError it stands for.

    Only words that came with google.rpc.Status details are passed on: the inference server meant them for the caller.
    Whatever else gRPC says is for the log; `quiet` is for calls that are made again and again.
    """
    try:
        yield
    except grpc.aio.AioRpcError as failure:
        trailers: dict[str, Any] = dict(cast(Any, failure.trailing_metadata() or ()))
        if DETAILS_KEY in trailers:
            raise told(failure, trailers) from None
        log = logger.debug if quiet else logger.warning
        log("call failed", rpc=rpc, code=failure.code().name, details=failure.details())
        raise untold(failure.code()) from None


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
        case StatusCode.DEADLINE_EXCEEDED:
            return errors.DeadlineExceeded(words)
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
        case StatusCode.CANCELLED:  # a stopping server says so of calls that it never ran
            return errors.Unavailable(STOPPED)
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
