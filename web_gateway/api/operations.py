"""Parts of the OpenAPI document: operations, their answers and their errors."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from web_gateway import messages
from web_gateway.errors import ANSWERS

EVENT = {
    "type": "object",
    "description": "Of one event.",
    "properties": {"event": {"type": "string"}, "data": {"type": "string", "contentMediaType": "application/json"}},
    "required": ["event", "data"],
}
SUMMARY = {
    400: "The body can't be read, or `field` is missing or out of range.",
    401: "The operator requires an API key (NEXTTOKEN_API_KEYS_FILE), and there is none or an unknown one.",
    404: "Unknown model.",
    408: "The body did not arrive in time.",
    413: "The body exceeds NEXTTOKEN_MAX_BODY_BYTES.",
    415: "The Content-Type is not application/json.",
    421: "The Host header is not in NEXTTOKEN_TRUSTED_HOSTS.",
    429: "The server is at capacity, or this client exceeded its request rate.",
    500: "Internal error; the log has the cause under the request id.",
    503: "The model is loading or failed to load, or the inference server is unreachable.",
    504: "The request took longer than NEXTTOKEN_TIMEOUT_S.",
}
SERVING = (421, 500, 503, 504)
READING = (400, 404, 408, 413, 415, *SERVING)

Shape = Callable[[list[str]], dict[str, Any]]
"""The schema of an error with one of these codes."""


def problem(codes: list[str]) -> dict[str, Any]:
    """The schema of a Problem with one of these codes."""
    return {"allOf": [reference(messages.Problem), {"properties": {"code": {"enum": codes}}}]}


def returns(
    summary: str, answer: type[msgspec.Struct], failures: tuple[int, ...], shape: Shape = problem
) -> dict[str, Any]:
    """An operation that returns JSON or one of these error statuses."""
    operation = plain(summary, "application/json", reference(answer))
    operation["responses"].update({str(status): failure(status, shape) for status in sorted(failures)})
    return operation


def accepts(request: type[msgspec.Struct], operation: dict[str, Any], example: dict[str, Any]) -> dict[str, Any]:
    """The operation with a JSON request body."""
    content = {"application/json": {"schema": reference(request), "example": example}}
    return {**operation, "requestBody": {"required": True, "content": content}}


def plain(summary: str, media_type: str, schema: dict[str, Any]) -> dict[str, Any]:
    """An operation that returns one media type."""
    content = {media_type: {"schema": schema}}
    return {"summary": summary, "responses": {"200": {"description": summary, "content": content}}}


def streams(summary: str, kinds: Mapping[str, type[msgspec.Struct]]) -> dict[str, Any]:
    """An operation that returns server-sent events, or one of the usual error statuses before the first one.

    OpenAPI 3.1 can't describe the events of a stream; `x-events` has the schema of the data of each, by name.
    """
    operation = plain(
        f"{summary}, as server-sent events: `event:` is one of {', '.join(kinds)}, and `data:` one line of JSON. An "
        "error after the first event is an `error` event with a Problem and ends the stream. Comments keep it open. A "
        "client that leaves cancels the work; one that reads slowly slows it down.",
        "text/event-stream",
        EVENT,
    )
    schemas = {name: reference(kind) for name, kind in kinds.items()} | {"error": reference(messages.Problem)}
    operation["responses"]["200"]["content"]["text/event-stream"]["x-events"] = schemas
    operation["responses"].update({str(status): failure(status) for status in sorted((*READING, 429))})
    return operation


def events() -> dict[str, Any]:
    """The event stream operation."""
    return plain(
        "The models now and on every change, as server-sent events. `event: models` carries a ModelList; `event: "
        "unreachable` a Problem while the inference server is unreachable. Comments keep the connection open.",
        "text/event-stream",
        EVENT,
    )


def failure(status: int, shape: Shape = problem) -> dict[str, Any]:
    """An error response with one of the codes of this status, in the shape of the path."""
    schema = shape(sorted(code for of, code in ANSWERS.values() if of == status))
    response: dict[str, Any] = {"description": SUMMARY[status], "content": {"application/json": {"schema": schema}}}
    if status == 429:
        seconds = {"type": "integer", "minimum": 1}
        response["headers"] = {"Retry-After": {"description": "Seconds to wait.", "required": True, "schema": seconds}}
    return response


def reference(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """A reference to a struct's schema."""
    return {"$ref": f"#/components/schemas/{struct.__name__}"}
