"""The OpenAI-compatible paths of the OpenAPI document."""

from typing import Any

from web_gateway.api.openai import answers, requests
from web_gateway.api.operations import READING, SERVING, accepts, reference, returns
from web_gateway.openai_errors import CODES, OpenAIProblem

STRUCTS = (
    requests.CompletionRequest,
    requests.ChatCompletionRequest,
    requests.TokenizePromptRequest,
    requests.DetokenizeRequest,
    answers.Completion,
    answers.ChatCompletion,
    answers.ChatCompletionChunk,
    answers.ModelCards,
    answers.TokenizedPrompt,
    answers.DetokenizedPrompt,
    answers.TokenizerInfo,
    OpenAIProblem,
)
ASKING = (*READING, 401, 429)
LOOKING = (*SERVING, 401, 429)
KEYS = "OpenAI key"
SECURITY = {KEYS: {"type": "http", "scheme": "bearer", "description": "Only if the operator requires a key."}}
CHUNK = {
    "type": "object",
    "description": "Of one event.",
    "properties": {"data": {"type": "string", "contentMediaType": "application/json"}},
    "required": ["data"],
}
HELLO = [{"role": "user", "content": "Hello"}]


def paths() -> dict[str, Any]:
    """The paths, which the operator may have turned off."""
    name = {"name": "model", "in": "path", "required": True, "schema": {"type": "string"}}
    described = {
        "/v1/models": {"get": returns("The models that are ready", answers.ModelCards, LOOKING, problem)},
        "/v1/models/{model}": {
            "get": {
                "parameters": [name],
                **returns("A model that is ready", answers.ModelCard, (*LOOKING, 400, 404), problem),
            }
        },
        "/v1/completions": {
            "post": accepts(
                requests.CompletionRequest,
                completes("Prompts, continued or scored", answers.Completion, answers.Completion),
                {"prompt": "Once upon a time", "max_tokens": 20, "logprobs": 3, "seed": 1},
            )
        },
        "/v1/chat/completions": {
            "post": accepts(
                requests.ChatCompletionRequest,
                completes(
                    "The next turn of a conversation, or the rest of its last one",
                    answers.ChatCompletion,
                    answers.ChatCompletionChunk,
                ),
                {"messages": HELLO, "max_tokens": 20, "logprobs": True, "top_logprobs": 3},
            )
        },
        "/tokenize": {
            "post": accepts(
                requests.TokenizePromptRequest,
                returns("The ids of a prompt", answers.TokenizedPrompt, ASKING, problem),
                {"prompt": "Once upon a time"},
            )
        },
        "/detokenize": {
            "post": accepts(
                requests.DetokenizeRequest,
                returns("The text of ids", answers.DetokenizedPrompt, ASKING, problem),
                {"tokens": [1, 2, 3]},
            )
        },
        "/tokenizer_info": {
            "get": returns("What the tokenizer says of itself", answers.TokenizerInfo, (*LOOKING, 400), problem)
        },
    }
    for operations in described.values():
        for operation in operations.values():
            operation["security"] = [{}, {KEYS: []}]
    return described


def completes(summary: str, whole: type[Any], chunk: type[Any]) -> dict[str, Any]:
    """An operation that returns JSON, or with `stream` its chunks as server-sent events."""
    operation = returns(
        f"{summary}. With `stream` as server-sent events: each `data:` is a chunk, an OpenAIProblem, which ends it, or"
        " at last `[DONE]`.",
        whole,
        ASKING,
        problem,
    )
    operation["responses"]["200"]["content"]["text/event-stream"] = {"schema": CHUNK, "x-chunks": reference(chunk)}
    return operation


def problem(codes: list[str]) -> dict[str, Any]:
    """The schema of an OpenAIProblem with one of these codes."""
    known = [CODES.get(code, code) for code in codes]
    inner = {"properties": {"code": {"enum": known}}}
    return {"allOf": [reference(OpenAIProblem), {"properties": {"error": inner}}]}
