"""The HTTP API as an OpenAPI 3.1 document. The schemas are generated from the structs."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec

from web_gateway import (
    chat_messages,
    compare_messages,
    generate_messages,
    grow_messages,
    influence_messages,
    layer_messages,
    messages,
    model_messages,
)
from web_gateway.about import Info
from web_gateway.errors import ANSWERS
from web_gateway.inference.convert import GENERATE_EVENTS, GROW_EVENTS, INFLUENCE_EVENTS

STRUCTS = (
    chat_messages.RenderChatRequest,
    chat_messages.RenderChatAnswer,
    generate_messages.GenerateRequest,
    *GENERATE_EVENTS.values(),
    grow_messages.GrowRequest,
    *GROW_EVENTS.values(),
    compare_messages.CompareRequest,
    compare_messages.CompareAnswer,
    influence_messages.InfluenceRequest,
    *INFLUENCE_EVENTS.values(),
    messages.NextTokenRequest,
    messages.NextTokenAnswer,
    messages.ScoreRequest,
    messages.ScoreAnswer,
    layer_messages.LayersRequest,
    layer_messages.LayersAnswer,
    messages.LoadRequest,
    model_messages.ModelList,
    Info,
    messages.Status,
    messages.Problem,
)
PROMPTS = {
    messages.NextTokenRequest: ("text", "token_ids", "parts"),
    messages.ScoreRequest: ("text", "token_ids"),
    layer_messages.LayersRequest: ("text", "token_ids"),
    generate_messages.GenerateRequest: ("text", "token_ids"),
    grow_messages.GrowRequest: ("text", "token_ids"),
    influence_messages.InfluenceRequest: ("text", "token_ids"),
    compare_messages.ComparedQuestion: ("text", "token_ids"),
}
"""The fields of which a request has exactly one."""
EVENT = {
    "type": "object",
    "description": "Of one event.",
    "properties": {"event": {"type": "string"}, "data": {"type": "string", "contentMediaType": "application/json"}},
    "required": ["event", "data"],
}
SUMMARY = {
    400: "The body can't be read, or `field` is missing or out of range.",
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


@cache
def encoded() -> bytes:
    """The document as JSON."""
    return msgspec.json.encode(document())


def document() -> dict[str, Any]:
    """The document."""
    _, schemas = msgspec.json.schema_components(STRUCTS, ref_template="#/components/schemas/{name}")
    for request, prompts in PROMPTS.items():
        schemas[request.__name__]["oneOf"] = [{"required": [name]} for name in prompts]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Next-Token Visualizer",
            "version": "1.0.0",
            "description": "The probabilities of a language model's next tokens. An `x-request-id` header of up to 64 "
            "characters from [A-Za-z0-9._-] identifies a request in the logs; every response returns it, or the one "
            "generated. An `x-session` header of the same form identifies a visitor: requests are scheduled fairly "
            "between sessions, or between addresses where there is none. Integers have no decimal point: 10, not "
            "10.0. Every error is a `Problem`.",
        },
        "paths": {
            "/api/next-token": {
                "post": accepts(
                    messages.NextTokenRequest,
                    returns("The most likely next tokens of a prompt", messages.NextTokenAnswer, (*READING, 429)),
                    {"text": "Once upon a time", "top_k": 5},
                )
            },
            "/api/score": {
                "post": accepts(
                    messages.ScoreRequest,
                    returns("The probability of each token of a text", messages.ScoreAnswer, (*READING, 429)),
                    {"text": "The cat sat on the mat.", "top_k": 3},
                )
            },
            "/api/layers": {
                "post": accepts(
                    layer_messages.LayersRequest,
                    returns("How a prediction forms", layer_messages.LayersAnswer, (*READING, 429)),
                    {"text": "Once upon a time", "top_k": 3},
                )
            },
            "/api/chat/render": {
                "post": accepts(
                    chat_messages.RenderChatRequest,
                    returns(
                        "A conversation in the model's chat template", chat_messages.RenderChatAnswer, (*READING, 429)
                    ),
                    {"messages": [{"role": "user", "content": "Hello"}], "add_generation_prompt": True},
                )
            },
            "/api/generate": {
                "post": accepts(
                    generate_messages.GenerateRequest,
                    streams("The continuations of a prompt, token by token", GENERATE_EVENTS),
                    {"text": "Once upon a time", "max_tokens": 20, "temperature": 0.8, "seed": 1},
                )
            },
            "/api/grow": {
                "post": accepts(
                    grow_messages.GrowRequest,
                    streams("The tree of a prompt's most likely continuations", GROW_EVENTS),
                    {"text": "Once upon a time", "depth": 3, "max_nodes": 20},
                )
            },
            "/api/compare": {
                "post": accepts(
                    compare_messages.CompareRequest,
                    returns("How two next-token distributions differ", compare_messages.CompareAnswer, (*READING, 429)),
                    {"a": {"text": "Once upon a time"}, "b": {"text": "Twice upon a time"}, "top_k": 5},
                )
            },
            "/api/influence": {
                "post": accepts(
                    influence_messages.InfluenceRequest,
                    streams("How a token's log-odds change without each part of a prompt", INFLUENCE_EVENTS),
                    {"text": "The capital of France is", "target": 5, "unit": "word", "method": "take_out"},
                )
            },
            "/api/models": {"get": returns("Every model and its state", model_messages.ModelList, (429, *SERVING))},
            "/api/models/events": {"get": events()},
            "/api/models/load": {
                "post": accepts(
                    messages.LoadRequest,
                    returns("Starts loading a failed model; does not wait", model_messages.Model, (*READING, 429)),
                    {"name": "bundled"},
                )
            },
            "/api/info": {"get": returns("Versions, limits and uptime of both services", Info, (429, *SERVING))},
            "/api/openapi.json": {"get": plain("This document", "application/json", {"type": "object"})},
            "/healthz": {"get": returns("Liveness of the gateway", messages.Status, ())},
            "/startupz": {
                "get": returns("The inference server has been ready at least once", messages.Status, (500, 503))
            },
            "/readyz": {"get": returns("The inference server is ready", messages.Status, (500, 503))},
            "/metrics": {"get": plain("Prometheus metrics", "text/plain", {"type": "string"})},
        },
        "components": {"schemas": schemas},
    }


def returns(summary: str, answer: type[msgspec.Struct], failures: tuple[int, ...]) -> dict[str, Any]:
    """An operation that returns JSON or one of these error statuses."""
    operation = plain(summary, "application/json", reference(answer))
    operation["responses"].update({str(status): failure(status) for status in sorted(failures)})
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


def failure(status: int) -> dict[str, Any]:
    """An error response: a Problem with one of the codes of this status."""
    codes = sorted(code for of, code in ANSWERS.values() if of == status)
    schema = {"allOf": [reference(messages.Problem), {"properties": {"code": {"enum": codes}}}]}
    response: dict[str, Any] = {"description": SUMMARY[status], "content": {"application/json": {"schema": schema}}}
    if status == 429:
        seconds = {"type": "integer", "minimum": 1}
        response["headers"] = {"Retry-After": {"description": "Seconds to wait.", "required": True, "schema": seconds}}
    return response


def reference(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """A reference to a struct's schema."""
    return {"$ref": f"#/components/schemas/{struct.__name__}"}
