"""Errors in OpenAI's shape, and the paths where they have it."""

from msgspec import Struct

from web_gateway.messages import Problem

PREFIX = "/v1/"
PATHS = frozenset({"/v1", "/tokenize", "/detokenize", "/tokenizer_info"})

TYPES = {401: "authentication_error", 429: "rate_limit_error"}
CODES = {  # where OpenAI's clients know another word than ours
    "rate_limited": "rate_limit_exceeded",
    "unauthenticated": "invalid_api_key",
}


class OpenAIError(Struct, frozen=True, kw_only=True):
    """What is wrong: in words, as a kind, the request's field at fault if one is, and for programs."""

    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIProblem(Struct, frozen=True, kw_only=True):
    """Every error response on the OpenAI-compatible paths."""

    error: OpenAIError


def speaks(path: str) -> bool:
    """Whether answers on a path have OpenAI's shape."""
    return path.startswith(PREFIX) or path in PATHS


def reshaped(problem: Problem, status: int) -> OpenAIProblem:
    """A problem in OpenAI's shape."""
    kind = TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    param = problem.field if isinstance(problem.field, str) else None
    code = CODES.get(problem.code, problem.code)
    return OpenAIProblem(error=OpenAIError(message=problem.error, type=kind, param=param, code=code))
