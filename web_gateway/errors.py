"""Every failure leaves the gateway in one JSON shape: {"error", "code"}, and "field" where one is at fault.

GatewayError
├── InvalidRequest       the body can't be read, or a field is missing or out of its range
├── SlowBody             the body did not arrive in time
├── BodyTooLarge         the body is longer than the limit
├── NotJson              the body is not declared as JSON
├── NotFound             no model of that name is on the server's list
├── WrongHost            the request was meant for a name this server does not answer under
├── Overloaded           too much work is waiting; carries when to try again
│   └── RateLimited      this client sent more requests than one may
├── Unavailable          the model is still loading, or the inference server is stopping or can't be reached
├── ModelFailed          the model could not be loaded
├── DeadlineExceeded     the answer did not come in time
└── InternalFault        a fault of ours; the cause is in the log
"""

import math
from http import HTTPStatus

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from web_gateway.messages import Problem


class GatewayError(Exception):
    """Base of every error a browser may be told of; `str(error)` is the message."""

    field: str | None = None
    headers: dict[str, str] | None = None


class InvalidRequest(GatewayError):
    """The body can't be read, or `field` is missing or out of its range."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class SlowBody(GatewayError):
    """The body did not arrive in time."""


class BodyTooLarge(GatewayError):
    """The body is longer than the limit."""


class NotJson(GatewayError):
    """The body is not declared as JSON."""


class NotFound(GatewayError):
    """No model of that name is on the server's list."""


class Overloaded(GatewayError):
    """Too much work is waiting."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.headers = {"retry-after": str(max(1, math.ceil(retry_after_s)))}


class RateLimited(Overloaded):
    """This client sent more requests than one may."""


class WrongHost(GatewayError):
    """The request was meant for a name this server does not answer under."""


class Unavailable(GatewayError):
    """The model is still loading, or the inference server is stopping or can't be reached."""


class ModelFailed(GatewayError):
    """The model could not be loaded."""


class DeadlineExceeded(GatewayError):
    """The answer did not come in time."""


class InternalFault(GatewayError):
    """A fault of ours. The message is general; the cause belongs in the log."""


ANSWERS: dict[type[GatewayError], tuple[int, str]] = {
    InvalidRequest: (400, "invalid_argument"),
    NotFound: (404, "not_found"),
    SlowBody: (408, "request_timeout"),
    BodyTooLarge: (413, "payload_too_large"),
    NotJson: (415, "unsupported_media_type"),
    WrongHost: (421, "misdirected_request"),
    Overloaded: (429, "overloaded"),
    RateLimited: (429, "rate_limited"),
    InternalFault: (500, "internal"),
    ModelFailed: (503, "model_failed"),
    Unavailable: (503, "unavailable"),
    DeadlineExceeded: (504, "deadline_exceeded"),
}

ROUTING = {
    404: "There is nothing at this path; /api/openapi.json lists what there is.",
    405: "This path does not take this method; the Allow header lists what it takes.",
}


def problem(error: GatewayError) -> Problem:
    """The error as the browser is told of it."""
    _, code = ANSWERS[type(error)]
    return Problem(error=str(error), code=code, field=msgspec.UNSET if error.field is None else error.field)


def respond(status: int, body: Problem, headers: dict[str, str] | None = None) -> Response:
    """The problem as a response that nobody keeps."""
    return Response(
        msgspec.json.encode(body), status, {"cache-control": "no-store", **(headers or {})}, "application/json"
    )


def respond_to(error: GatewayError) -> Response:
    """The error as a response."""
    status, _ = ANSWERS[type(error)]
    return respond(status, problem(error), error.headers)


async def refused(request: Request, error: Exception) -> Response:
    """Answers a GatewayError."""
    assert isinstance(error, GatewayError)  # noqa: S101 - the table of handlers says so
    return respond_to(error)


async def unrouted(request: Request, error: Exception) -> Response:
    """Answers what the router refuses: an unknown path or a method that a path does not take."""
    assert isinstance(error, HTTPException)  # noqa: S101 - the table of handlers says so
    code = HTTPStatus(error.status_code).name.lower()
    headers = None if error.headers is None else {name.lower(): value for name, value in error.headers.items()}
    return respond(error.status_code, Problem(error=ROUTING.get(error.status_code, error.detail), code=code), headers)


def internal(request_id: str) -> Response:
    """Answers a fault nobody foresaw: the log has it under the request id."""
    words = f"Something went wrong on our side. The log has the details under request id {request_id}."
    return respond(500, Problem(error=words, code="internal"))


def stopping() -> Response:
    """Answers what a stop did not leave the time for."""
    return respond_to(Unavailable("This server is stopping; try again in a moment."))
