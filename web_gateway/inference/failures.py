"""Maps failed RPCs to GatewayErrors.

Only errors with google.rpc.Status details were written by the inference server for the caller, so only their messages
are forwarded. Anything else comes from gRPC itself and gets a message of ours.
"""

from typing import Any

import grpc
import structlog
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode

from web_gateway import about, errors

DETAILS_KEY = "grpc-status-details-bin"
PUSHBACK_KEY = "grpc-retry-pushback-ms"
RETRY_AFTER_S = 1.0

UNREACHABLE = "Can't reach the inference server. It may be starting or stopped; retry in a moment."
UNAUTHENTICATED = "The inference server rejected this gateway: {reason}. NEXTTOKEN_AUTH_TOKEN must match on both sides."
NOT_READY = "The inference server is running, but no model is ready."
NO_APPLICATION = "No such application on Ray Serve; NEXTTOKEN_RAY_APPLICATION must be the name of one that is deployed."
STOPPING = "The inference server is stopping; retry in a moment."
DROPPED = "The inference server is overloaded and dropped this request; retry in a moment."
TIMED_OUT = "Request timed out; retry, or shorten the text."
TOO_LONG = f"top_k: the answer would exceed {about.MAX_ANSWER_BYTES >> 20} MiB; lower top_k or shorten the text"
INTERNAL = "Internal error in the inference server; its log has the details under this request id."

logger = structlog.get_logger()


def from_server(failure: grpc.aio.AioRpcError, trailers: dict[str, Any]) -> errors.GatewayError:
    """The error for a failure with details: the inference server's own message."""
    message = failure.details() or ""
    match failure.code():
        case StatusCode.INVALID_ARGUMENT:
            return errors.InvalidRequest(message, invalid_field(trailers[DETAILS_KEY]))
        case StatusCode.NOT_FOUND:
            return errors.NotFound(message)
        case StatusCode.FAILED_PRECONDITION:
            return errors.ModelFailed(message)
        case StatusCode.UNAVAILABLE:
            return errors.Unavailable(message)
        case StatusCode.UNAUTHENTICATED:
            logger.error("rejected by the inference server", reason=message)
            return errors.Unavailable(UNAUTHENTICATED.format(reason=message))
        case StatusCode.DEADLINE_EXCEEDED:
            return errors.DeadlineExceeded(message)
        case StatusCode.INTERNAL:
            return errors.InternalFault(message)
        case StatusCode.RESOURCE_EXHAUSTED:
            milliseconds = str(trailers.get(PUSHBACK_KEY, ""))
            seconds = int(milliseconds) / 1000 if milliseconds.isdecimal() else RETRY_AFTER_S
            return errors.Overloaded(message, seconds)
        case code:
            return from_grpc(code)


def from_ray(failure: grpc.aio.AioRpcError, trailers: dict[str, Any]) -> errors.GatewayError:
    """The error for a failure without details, from a replica or in the words of Ray's proxy."""
    match failure.code():
        case StatusCode.INTERNAL if PUSHBACK_KEY not in trailers:  # a replica ended during the call
            return errors.Unavailable(STOPPING)
        case StatusCode.NOT_FOUND:
            return errors.Unavailable(NO_APPLICATION)
        case StatusCode.RESOURCE_EXHAUSTED if "backpressure" in (failure.details() or ""):
            return errors.Overloaded(DROPPED, RETRY_AFTER_S)
        case code:
            return from_grpc(code)


def from_grpc(code: StatusCode) -> errors.GatewayError:
    """The error for a failure without details."""
    match code:
        case StatusCode.UNAVAILABLE:
            return errors.Unavailable(UNREACHABLE)
        case StatusCode.DEADLINE_EXCEEDED:
            return errors.DeadlineExceeded(TIMED_OUT)
        case StatusCode.RESOURCE_EXHAUSTED:  # our own limit on message size: the server's overload has details
            return errors.InvalidRequest(TOO_LONG, "top_k")
        case _:
            return errors.InternalFault(INTERNAL)


def invalid_field(details: bytes) -> str | None:
    """The first field that a google.rpc.BadRequest names."""
    for detail in status_pb2.Status.FromString(details).details:
        bad_request = error_details_pb2.BadRequest()
        if detail.Unpack(bad_request):
            return next((violation.field for violation in bad_request.field_violations), None)
    return None
