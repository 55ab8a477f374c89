"""The HTTP API as an OpenAPI 3.1 document. The schemas are generated from the structs."""

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
    sampler_messages,
    tokenize_messages,
)
from web_gateway.about import Info
from web_gateway.api.openai import contract
from web_gateway.api.operations import READING, SERVING, accepts, events, plain, returns, streams
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
    tokenize_messages.TokenizeRequest,
    tokenize_messages.TokenizeAnswer,
    messages.NextTokenRequest,
    messages.NextTokenAnswer,
    messages.ScoreRequest,
    messages.ScoreAnswer,
    layer_messages.LayersRequest,
    layer_messages.LayersAnswer,
    model_messages.LoadRequest,
    model_messages.ModelList,
    Info,
    messages.Status,
    messages.Problem,
    *contract.STRUCTS,
)
PROMPTS = {
    messages.NextTokenRequest: ("text", "token_ids", "parts"),
    messages.ScoreRequest: ("text", "token_ids"),
    layer_messages.LayersRequest: ("text", "token_ids"),
    generate_messages.GenerateRequest: ("text", "token_ids"),
    grow_messages.GrowRequest: ("text", "token_ids"),
    influence_messages.InfluenceRequest: ("text", "token_ids"),
    compare_messages.ComparedQuestion: ("text", "token_ids"),
    tokenize_messages.TokenizeRequest: ("text", "token_ids"),
    sampler_messages.Sampler: sampler_messages.Sampler.__struct_fields__,
}
"""The fields of which a request has exactly one."""


@cache
def encoded() -> bytes:
    """The document as JSON."""
    return msgspec.json.encode(document())


def document() -> dict[str, Any]:
    """The document."""
    _, schemas = msgspec.json.schema_components(STRUCTS, ref_template="#/components/schemas/{name}")
    for request, prompts in PROMPTS.items():
        schemas[request.__name__]["oneOf"] = [{"required": [name]} for name in prompts]
    schemas["Sampler"] |= {"minProperties": 1, "maxProperties": 1}  # the same, for generators, which rarely meet oneOf
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Next-Token Visualizer",
            "version": "1.0.0",
            "description": "The probabilities of a language model's next tokens. An `x-request-id` header of up to 64 "
            "characters from [A-Za-z0-9._-] identifies a request in the logs; every response returns it, or the one "
            "generated. An `x-session` header of the same form identifies a visitor: requests are scheduled fairly "
            "between sessions, or between addresses where there is none. Integers have no decimal point: 10, not "
            "10.0. Every error is a `Problem`, or an `OpenAIProblem` on the paths that are OpenAI's.",
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
            "/api/tokenize": {
                "post": accepts(
                    tokenize_messages.TokenizeRequest,
                    returns("The tokens of a text or of ids", tokenize_messages.TokenizeAnswer, (*READING, 429)),
                    {"text": "Once upon a time", "include_tokenizer": True},
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
                    model_messages.LoadRequest,
                    returns("Starts loading a failed model; does not wait", model_messages.Model, (*READING, 429)),
                    {"name": "bundled"},
                )
            },
            **contract.paths(),
            "/api/info": {"get": returns("Versions, limits and uptime of both services", Info, (429, *SERVING))},
            "/api/openapi.json": {"get": plain("This document", "application/json", {"type": "object"})},
            "/healthz": {"get": returns("Liveness of the gateway", messages.Status, ())},
            "/startupz": {
                "get": returns("The inference server has been ready at least once", messages.Status, (500, 503))
            },
            "/readyz": {"get": returns("The inference server is ready", messages.Status, (500, 503))},
            "/metrics": {"get": plain("Prometheus metrics", "text/plain", {"type": "string"})},
        },
        "components": {"schemas": schemas, "securitySchemes": contract.SECURITY},
    }
