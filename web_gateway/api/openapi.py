"""The HTTP contract as an OpenAPI 3.1 file. Its schemas are made from the values that are read and written."""

from functools import cache
from typing import Any

import msgspec

from web_gateway import messages
from web_gateway.about import Info
from web_gateway.errors import ANSWERS

STRUCTS = (
    messages.NextTokenRequest,
    messages.NextTokenAnswer,
    messages.ScoreRequest,
    messages.ScoreAnswer,
    messages.LoadRequest,
    messages.ModelList,
    Info,
    messages.Status,
    messages.Problem,
)
EITHER_PROMPT = [{"required": ["text"]}, {"required": ["token_ids"]}]
SUMMARY = {
    400: "The body can't be read, or a field is missing or out of its range: `field` names it.",
    404: "No model of that name is on the server's list.",
    408: "The body did not arrive in time.",
    413: "The body is longer than NEXTTOKEN_MAX_BODY_BYTES.",
    415: "The body is not declared as application/json.",
    421: "The server does not answer under the name in the Host header: NEXTTOKEN_TRUSTED_HOSTS.",
    429: "Too much work is waiting, or this client sent more requests than one may.",
    500: "A fault of the server; its log has the cause under the request's id.",
    503: "The model is still loading or failed to load, or the inference server can't be reached.",
    504: "The answer took longer than NEXTTOKEN_TIMEOUT_S.",
}
SERVING = (421, 500, 503, 504)
READING = (400, 404, 408, 413, 415, *SERVING)


@cache
def encoded() -> bytes:
    """The file, as JSON."""
    return msgspec.json.encode(document())


def document() -> dict[str, Any]:
    """The file."""
    _, schemas = msgspec.json.schema_components(STRUCTS, ref_template="#/components/schemas/{name}")
    for request in (messages.NextTokenRequest, messages.ScoreRequest):
        schemas[request.__name__]["oneOf"] = EITHER_PROMPT
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Next-Token Visualizer",
            "version": "1.0.0",
            "description": "Which tokens a language model thinks come next, and how likely each is. Send an "
            "`x-request-id` of at most 64 characters from [A-Za-z0-9._-] to find a request in the logs; every answer "
            "returns the one it ran under. An `x-session` of the same form says which requests are one visitor's: the "
            "queue is shared fairly among visitors, or addresses where none is named. Whole numbers are written "
            "without a decimal point: 10, not 10.0. Every failure is a `Problem`.",
        },
        "paths": {
            "/api/next-token": {
                "post": asks(
                    messages.NextTokenRequest,
                    gives("The most likely next tokens of a prompt", messages.NextTokenAnswer, (*READING, 429)),
                    {"text": "Once upon a time", "top_k": 5},
                )
            },
            "/api/score": {
                "post": asks(
                    messages.ScoreRequest,
                    gives("How likely the model found each token of a text", messages.ScoreAnswer, (*READING, 429)),
                    {"text": "The cat sat on the mat.", "top_k": 3},
                )
            },
            "/api/models": {"get": gives("Every model and its state", messages.ModelList, (429, *SERVING))},
            "/api/models/events": {"get": events()},
            "/api/models/load": {
                "post": asks(
                    messages.LoadRequest,
                    gives("Starts loading a model that failed; does not wait", messages.Model, (*READING, 429)),
                    {"name": "bundled"},
                )
            },
            "/api/info": {"get": gives("What both tiers are: versions, limits, age", Info, (429, *SERVING))},
            "/api/openapi.json": {"get": plain("This file", "application/json", {"type": "object"})},
            "/healthz": {"get": gives("The gateway lives", messages.Status, ())},
            "/startupz": {
                "get": gives("The inference server has been reached and could answer", messages.Status, (500, 503))
            },
            "/readyz": {"get": gives("The inference server is reached and can answer", messages.Status, (500, 503))},
            "/metrics": {"get": plain("What Prometheus reads", "text/plain", {"type": "string"})},
        },
        "components": {"schemas": schemas},
    }


def gives(summary: str, answer: type[msgspec.Struct], failures: tuple[int, ...]) -> dict[str, Any]:
    """A call that answers with JSON, or fails in one of these ways."""
    operation = plain(summary, "application/json", reference(answer))
    operation["responses"].update({str(status): failure(status) for status in sorted(failures)})
    return operation


def asks(request: type[msgspec.Struct], operation: dict[str, Any], example: dict[str, Any]) -> dict[str, Any]:
    """The call with a JSON body."""
    content = {"application/json": {"schema": reference(request), "example": example}}
    return {**operation, "requestBody": {"required": True, "content": content}}


def plain(summary: str, media_type: str, schema: dict[str, Any]) -> dict[str, Any]:
    """A call that answers with one kind of content."""
    content = {media_type: {"schema": schema}}
    return {"summary": summary, "responses": {"200": {"description": summary, "content": content}}}


def events() -> dict[str, Any]:
    """The stream of the models' changes."""
    return plain(
        "The models now and at every change, as server-sent events. `event: models` carries a ModelList; `event: "
        "unreachable` a Problem, while the inference server can't be asked. Comments keep the connection open.",
        "text/event-stream",
        {"type": "string"},
    )


def failure(status: int) -> dict[str, Any]:
    """A failure's response: a Problem with one of the status' codes."""
    codes = sorted(code for of, code in ANSWERS.values() if of == status)
    schema = {"allOf": [reference(messages.Problem), {"properties": {"code": {"enum": codes}}}]}
    response: dict[str, Any] = {"description": SUMMARY[status], "content": {"application/json": {"schema": schema}}}
    if status == 429:
        seconds = {"type": "integer", "minimum": 1}
        response["headers"] = {"Retry-After": {"description": "Seconds to wait.", "required": True, "schema": seconds}}
    return response


def reference(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """The place of a struct's schema in the file."""
    return {"$ref": f"#/components/schemas/{struct.__name__}"}
