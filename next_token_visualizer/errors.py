"""Failed calls as exceptions, by status code."""

from typing import Any, ClassVar

from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode
from nexttoken.v1 import next_token_pb2 as pb

DETAILS_KEY = "grpc-status-details-bin"
REQUEST_ID_KEY = "x-request-id"
PUSHBACK_KEY = "grpc-retry-pushback-ms"


class NextTokenError(Exception):
    """A call failed. The message says what is wrong and what to do."""

    code: ClassVar[StatusCode] = StatusCode.UNKNOWN

    def __init__(self, message: str, request_id: str = "") -> None:
        super().__init__(message)
        self.request_id = request_id
        """Joins this call to the server's log; empty if the server never saw it."""
        self.rest: pb.GenerateRequest | None = None
        """After a `generate` that broke off: what to pass to `generate` for the rest. None if nothing had come."""


class InvalidRequest(NextTokenError, ValueError):
    """A field is missing or out of range."""

    code = StatusCode.INVALID_ARGUMENT

    def __init__(self, message: str, request_id: str = "", field: str = "") -> None:
        super().__init__(message, request_id)
        self.field = field
        """The field at fault; empty if it is not one alone."""


class NotFound(NextTokenError, LookupError):
    """The server has no model of that name."""

    code = StatusCode.NOT_FOUND


class Unavailable(NextTokenError, ConnectionError):
    """The server can't be reached or is stopping, or the model is still loading."""

    code = StatusCode.UNAVAILABLE


class ModelFailed(NextTokenError):
    """The model could not be loaded; the message has the reason."""

    code = StatusCode.FAILED_PRECONDITION


class Overloaded(NextTokenError):
    """The server is at capacity, or was when the last retry failed."""

    code = StatusCode.RESOURCE_EXHAUSTED

    def __init__(self, message: str, request_id: str = "", retry_after_s: float = 1.0) -> None:
        super().__init__(message, request_id)
        self.retry_after_s = retry_after_s
        """Seconds to wait before asking again."""


class DeadlineExceeded(NextTokenError, TimeoutError):
    """There was no answer within the timeout."""

    code = StatusCode.DEADLINE_EXCEEDED


class Unauthenticated(NextTokenError, PermissionError):
    """The server requires a token, or another one."""

    code = StatusCode.UNAUTHENTICATED


class InternalError(NextTokenError):
    """A fault of the server; its log has the details under the request id."""

    code = StatusCode.INTERNAL


KINDS: dict[StatusCode, type[NextTokenError]] = {
    kind.code: kind for kind in (NotFound, Unavailable, ModelFailed, DeadlineExceeded, Unauthenticated, InternalError)
}
KINDS[StatusCode.CANCELLED] = Unavailable  # what a stopping server does with calls that are under way


def error_of(failure: Any) -> NextTokenError:
    """The exception for a failed call: for gRPC's own, which is the call too."""
    code, trailers = failure.code(), dict(failure.trailing_metadata() or ())
    message = failure.details() or code.name
    request_id = str(trailers.get(REQUEST_ID_KEY, ""))
    if code is StatusCode.INVALID_ARGUMENT:
        return InvalidRequest(message, request_id, field_in(trailers.get(DETAILS_KEY, b"")))
    if code is StatusCode.RESOURCE_EXHAUSTED:
        milliseconds = str(trailers.get(PUSHBACK_KEY, ""))
        return Overloaded(message, request_id, int(milliseconds) / 1000 if milliseconds.isdecimal() else 1.0)
    return KINDS.get(code, NextTokenError)(message, request_id)


def field_in(details: bytes) -> str:
    """The first field that a google.rpc.BadRequest names; empty if there is none."""
    for detail in status_pb2.Status.FromString(details).details:
        bad_request = error_details_pb2.BadRequest()
        if detail.Unpack(bad_request) and bad_request.field_violations:
            return bad_request.field_violations[0].field
    return ""
