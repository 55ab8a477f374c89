"""Every error the gateway returns, as JSON: {"error", "code"}, plus "field" if one request field is at fault.

On OpenAI-compatible paths the same error has OpenAI's shape: see openai_errors.

GatewayError
├── InvalidRequest       unreadable body, or a field that is missing or out of range
├── SlowBody             the body did not arrive in time
├── BodyTooLarge         the body exceeds the limit
├── NotJson              the Content-Type is not JSON
├── NotFound             unknown model
├── Unauthenticated      no API key, or an unknown one
├── WrongHost            the Host header names a host this server does not serve
├── Overloaded           at capacity; carries Retry-After
│   └── RateLimited      this client exceeded its request rate
├── Unavailable          the model is loading, or the inference server is stopping or unreachable
│   └── BrokenOff        in the middle of a stream that can't go on anywhere
├── ModelFailed          the model could not be loaded
├── DeadlineExceeded     the request timed out
└── InternalFault        a bug; the cause is in the log
"""

import math
from http import HTTPStatus

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from web_gateway import openai_errors
from web_gateway.messages import Problem


class GatewayError(Exception):
    """Base class; `str(error)` is the message for the client."""

    field: str | None = None
    headers: dict[str, str] | None = None


class InvalidRequest(GatewayError):
    """The body can't be read, or `field` is missing or out of range."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class SlowBody(GatewayError):
    """The body did not arrive in time."""


class BodyTooLarge(GatewayError):
    """The body exceeds the limit."""


class NotJson(GatewayError):
    """The Content-Type is not JSON."""


class NotFound(GatewayError):
    """Unknown model."""


class Unauthenticated(GatewayError):
    """No API key, or an unknown one."""

    headers = {"www-authenticate": "Bearer"}  # noqa: RUF012 - nobody changes it


class Overloaded(GatewayError):
    """At capacity."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.headers = {"retry-after": str(max(1, math.ceil(retry_after_s)))}


class RateLimited(Overloaded):
    """This client exceeded its request rate."""


class WrongHost(GatewayError):
    """The Host header names a host this server does not serve."""


class Unavailable(GatewayError):
    """The model is loading, or the inference server is stopping or unreachable."""


class BrokenOff(Unavailable):
    """A stream that has begun can't go on anywhere."""


class ModelFailed(GatewayError):
    """The model could not be loaded."""


class DeadlineExceeded(GatewayError):
    """The request timed out."""


class InternalFault(GatewayError):
    """A bug. The message is generic; the cause goes to the log."""


ANSWERS: dict[type[GatewayError], tuple[int, str]] = {
    InvalidRequest: (400, "invalid_argument"),
    Unauthenticated: (401, "unauthenticated"),
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
    BrokenOff: (503, "unavailable"),
    DeadlineExceeded: (504, "deadline_exceeded"),
}

ROUTING = {
    404: "Not found. /api/openapi.json lists all paths.",
    405: "Method not allowed here; the Allow header lists the allowed ones.",
}


def problem(error: GatewayError) -> Problem:
    """The error as a JSON struct."""
    _, code = ANSWERS[type(error)]
    return Problem(error=str(error), code=code, field=msgspec.UNSET if error.field is None else error.field)


class ProblemResponse(Response):
    """An uncached error response, in the shape of the path that was asked."""

    def __init__(self, status: int, problem: Problem, headers: dict[str, str] | None) -> None:
        self.problem = problem
        self._more = {"cache-control": "no-store", **(headers or {})}
        super().__init__(msgspec.json.encode(problem), status, self._more, "application/json")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not openai_errors.speaks(scope["path"]):
            await super().__call__(scope, receive, send)
            return
        body = msgspec.json.encode(openai_errors.reshaped(self.problem, self.status_code))
        await Response(body, self.status_code, self._more, "application/json")(scope, receive, send)


def respond(status: int, body: Problem, headers: dict[str, str] | None = None) -> Response:
    """An uncached JSON response."""
    return ProblemResponse(status, body, headers)


def respond_to(error: GatewayError) -> Response:
    """The error as a response."""
    status, _ = ANSWERS[type(error)]
    return respond(status, problem(error), error.headers)


async def gateway_error(request: Request, error: Exception) -> Response:
    """Exception handler for GatewayError."""
    assert isinstance(error, GatewayError)  # noqa: S101 - registered for this type only
    return respond_to(error)


async def routing_error(request: Request, error: Exception) -> Response:
    """Exception handler for the router's 404 and 405."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this type only
    code = HTTPStatus(error.status_code).name.lower()
    headers = None if error.headers is None else {name.lower(): value for name, value in error.headers.items()}
    return respond(error.status_code, Problem(error=ROUTING.get(error.status_code, error.detail), code=code), headers)


def internal(request_id: str) -> Response:
    """The response to an unexpected exception."""
    message = f"Internal error; the log has the details under request id {request_id}."
    return respond(500, Problem(error=message, code="internal"))


def stopping() -> Response:
    """The response to a request that shutdown interrupted."""
    return respond_to(Unavailable("The server is stopping; retry in a moment."))
