"""One gRPC call: its client, deadline, log line and metrics, and errors as status codes."""

import asyncio
import math
import time
import traceback
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, NoReturn, TypeVar
from urllib.parse import unquote

import structlog
from google.protobuf.any_pb2 import Any as AnyDetail
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode
from grpc.aio import ServicerContext
from grpc_status import rpc_status

from inference_server import errors
from inference_server.messages import Client
from inference_server.ops.metrics import Metrics
from service_kit import logs, tracing
from service_kit.clients import client_at

REQUEST_ID_KEY = "x-request-id"
SESSION_KEY, CLIENT_KEY = "x-session", "x-client"  # a client's session name and its address
PUSHBACK_KEY = "grpc-retry-pushback-ms"  # gRPC retry design (A6): how long a client waits before it retries

MAX_NAME = 64  # characters of a client's name or address; longer ones are ignored
MAX_MESSAGE = 500  # characters: trailers are limited to 8 KiB and contain the message two or three times, encoded

STATUS = {
    errors.InvalidField: StatusCode.INVALID_ARGUMENT,
    errors.UnknownModel: StatusCode.NOT_FOUND,
    errors.ModelNotReady: StatusCode.UNAVAILABLE,
    errors.ModelFailed: StatusCode.FAILED_PRECONDITION,
    errors.Overloaded: StatusCode.RESOURCE_EXHAUSTED,
    errors.DeadlineExpired: StatusCode.DEADLINE_EXCEEDED,
    errors.Stopping: StatusCode.UNAVAILABLE,
    errors.ComputeFailed: StatusCode.INTERNAL,
}

NOT_OUR_FAULT = (StatusCode.OK, StatusCode.CANCELLED, StatusCode.INVALID_ARGUMENT, StatusCode.NOT_FOUND)

logger = structlog.get_logger()

Context = ServicerContext[Any, Any]
T = TypeVar("T")


@asynccontextmanager
async def answering(
    rpc: str, request: object, context: Context, metrics: Metrics, turn: Awaitable[None]
) -> AsyncIterator[dict[str, Any]]:
    """Wraps one call: its turn to begin, request id, tracing, logging, metrics, and errors as status codes.

    Yields a dict whose entries are added to the log line. Cancellation propagates. A request of None could not be
    decoded.
    """
    metadata = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
    request_id = logs.request_id(metadata.get(REQUEST_ID_KEY))
    echo = ((REQUEST_ID_KEY, request_id),)
    context.set_trailing_metadata(echo)
    notes: dict[str, Any] = {}
    code = StatusCode.OK
    refusal: errors.ServingError | None = None
    started = time.monotonic()
    structlog.contextvars.bind_contextvars(request_id=request_id)  # for this call's task alone
    with tracing.NOTHING if rpc == "WatchModels" else tracing.span(rpc, "SERVER", metadata) as span:
        try:
            await turn
            if request is None:
                raise errors.InvalidField("request", "not a valid message of this API (text must be UTF-8)")
            yield notes
        except (asyncio.CancelledError, GeneratorExit):  # GeneratorExit: a stream was abandoned between messages
            code = StatusCode.CANCELLED
            raise
        except (KeyboardInterrupt, SystemExit):
            raise
        except errors.ServingError as error:
            code, refusal = STATUS[type(error)], error
            traceback.clear_frames(error.__traceback__)  # what they hold of the prompt would stay: gRPC keeps the error
            notes["error"] = str(error)
        except BaseException:  # a panic in a native library is not an Exception
            code = StatusCode.INTERNAL
            logger.exception("unhandled exception", rpc=rpc)
        finally:
            milliseconds = round((time.monotonic() - started) * 1000, 2)
            metrics.count_call(rpc, notes.get("model", ""), code.name)
            logger.info("call", rpc=rpc, code=code.name, ms=milliseconds, **notes)
            if span is not None:
                span.set_attributes({"rpc.response.status_code": code.name, "request_id": request_id})
                if code not in NOT_OUR_FAULT:
                    tracing.failed(span, code.name)
    # Only now is the caller answered: it finds its call counted.
    if refusal is not None:
        await refuse(context, code, refusal, echo)
    if code is StatusCode.INTERNAL:
        await context.abort(code, f"internal error; see the server's log for request id {request_id}", echo)


async def counted(
    rpc: str, events: AsyncGenerator[T, None], notes: dict[str, Any], metrics: Metrics
) -> AsyncGenerator[T, None]:
    """A stream's events, counted in its log line and in metrics; closes the stream when it is closed."""
    notes["messages"] = 0
    async with aclosing(events):
        asked = time.monotonic()
        async for event in events:
            metrics.count_message(rpc, notes["model"], time.monotonic() - asked)
            notes["messages"] += 1
            yield event
            asked = time.monotonic()


async def refuse(
    context: Context, code: StatusCode, error: errors.ServingError, trailers: Sequence[tuple[str, str]]
) -> NoReturn:
    """Aborts the call with the error's code, message and google.rpc details."""
    message = str(error)[:MAX_MESSAGE]
    status = status_pb2.Status(code=code.value[0], message=message)
    if isinstance(error, errors.InvalidField):
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=error.field, description=error.fault[:MAX_MESSAGE]
        )
        status.details.append(packed(error_details_pb2.BadRequest(field_violations=[violation])))
    if isinstance(error, errors.Overloaded):
        milliseconds = math.ceil(error.retry_after_s * 1000)
        delay = Duration()
        delay.FromMilliseconds(milliseconds)
        status.details.append(packed(error_details_pb2.RetryInfo(retry_delay=delay)))
        trailers = (*trailers, (PUSHBACK_KEY, str(milliseconds)))
    if isinstance(error, errors.ModelNotReady):
        trailers = (*trailers, (PUSHBACK_KEY, "-1"))  # don't retry: loading takes longer than any backoff
    rich = rpc_status.to_status(status)
    await context.abort(code, message, (*trailers, *rich.trailing_metadata))


def packed(detail: error_details_pb2.BadRequest | error_details_pb2.RetryInfo) -> AnyDetail:
    """A detail for google.rpc.Status."""
    wrapped = AnyDetail()
    wrapped.Pack(detail)
    return wrapped


def deadline(context: Context) -> float | None:
    """The caller's deadline in time.monotonic seconds; None: none."""
    remaining: float | None = context.time_remaining()
    return None if remaining is None else time.monotonic() + remaining


def client(context: Context, trust_caller: bool) -> Client:
    """The client: the address in a trusted caller's metadata, else the peer's own, and its session."""
    metadata = dict(context.invocation_metadata() or ())

    def value_of(key: str) -> str:
        value = metadata.get(key)
        return value if isinstance(value, str) and len(value) <= MAX_NAME else ""

    address = value_of(CLIENT_KEY) if trust_caller else ""
    return Client(client_at(address or host_of(str(context.peer()))), value_of(SESSION_KEY))


def host_of(peer: str) -> str:
    """The address in a gRPC peer name such as ipv4:127.0.0.1:5, ipv6:%5B::1%5D:5 or unix:path."""
    kind, _, rest = peer.partition(":")
    return unquote(rest).rpartition(":")[0].strip("[]") if kind in ("ipv4", "ipv6") else kind
