"""What requests may say: fields that count, that must ask for nothing, that are ignored, and all others."""

import json
from pathlib import Path
from typing import Any

import pytest

from web_gateway.api.openai.fields import IGNORED, NEUTRAL, read
from web_gateway.api.openai.requests import ChatCompletionRequest, CompletionRequest
from web_gateway.errors import InvalidRequest

DOCS = Path(__file__).parents[5] / "docs" / "openai.md"


def body(**fields: Any) -> bytes:
    return json.dumps({"prompt": "a", **fields}).encode()


def test_known_fields_without_effect_are_named() -> None:
    query, ignored = read(body(tfs=1, user="me", max_tokens=3, best_of=1.0, tools=None), CompletionRequest)
    assert ignored == ["tfs", "user"]
    assert query == CompletionRequest(prompt="a", max_tokens=3)


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"logit_bias": {"5": -101}}, "logit_bias", "must be an object or null"),
        ({"presence_penalty": 3}, "presence_penalty", "must be a number from -2 to 2 or null, not 3"),
        ({"best_of": 5}, "best_of", "got 5"),
        ({"best_of": True}, "best_of", "got true"),
        ({"tools": [{}]}, "tools", "tools are not supported"),
        (
            {"response_format": {"type": "xml"}},
            "response_format",
            'must be one of "json_object", "json_schema", "text"',
        ),
        ({"response_format": {"type": "json_schema"}}, "response_format", "json_schema must be given with the type"),
        ({"response_format": {"type": "text", "json_schema": {"schema": {}}}}, "response_format", "and only with it"),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, "response_format", "schema: required"),
        ({"guided_choice": []}, "guided_choice", "must be an array of 1 to 1,000 non-empty strings"),
        ({"guided_regex": ""}, "guided_regex", "must be a non-empty string"),
        ({"guided_json": 3}, "guided_json", "must be"),
        ({"guided_grammar": 3}, "guided_grammar", "must be a non-empty string"),
        ({"structured_outputs": "a"}, "structured_outputs", "must be an object or null"),
        ({"structured_outputs": {}}, "structured_outputs", "exactly one of json, regex, choice, grammar, json_object"),
        ({"structured_outputs": {"regex": "a", "json": {}}}, "structured_outputs", "exactly one of json, regex"),
        ({"structured_outputs": {"regex": ""}}, "structured_outputs", "regex: must be a non-empty string"),
        ({"structured_outputs": {"choice": []}}, "structured_outputs", "choice: must be an array of 1 to 1,000"),
        ({"structured_outputs": {"json_object": False}}, "structured_outputs", "json_object: "),
        ({"structured_outputs": {"regex": "a", "whitespace_pattern": " "}}, "structured_outputs", "must be null"),
        (
            {"structured_outputs": {"json": {}, "disable_any_whitespace": True}},
            "structured_outputs",
            "disable_any_whitespace is not supported",
        ),
        ({"structured_outputs": {"pattern": "a"}}, "structured_outputs", "pattern: unknown field"),
        ({"tfs": 1, "strange": 2}, "strange", "unknown field; known fields are"),
        ({"strange": 2}, "strange", "unknown field"),
        ({"tfs": 1, "n": 0}, "n", "must be an integer from 1 to 16 or null, not 0"),
        ({"stream_options": {"include": True}}, "stream_options", "include: unknown field"),
        ({"stream_options": {"include_usage": 3}}, "stream_options", "must be true or false or null, not 3"),
        ({"stream_options": 3}, "stream_options", "must be an object or null, not 3"),
        ({"prompt": [1.5]}, "prompt", "not 1.5"),
        ({"best_of": 5, "n": "x"}, "best_of", ""),
    ],
)
def test_what_is_refused(fields: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read(body(**fields), CompletionRequest)
    assert refused.value.field == field
    assert words in str(refused.value)


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"[]",
        b"{",
        b'{"prompt": "a", "tfs": 1, "tfs": 2}',
        b'{"prompt": "a", "user": "\xff"}',
        b'{"prompt": "a", "tools": "\xff"}',
        b'{"prompt": "a", "tools": NaN}',
        b'{"tools": ' + b"[" * 100_000,
    ],
)
def test_what_is_no_request_is_refused_in_words(broken: bytes) -> None:
    with pytest.raises(InvalidRequest):
        read(broken, CompletionRequest)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({"role": "tool", "content": "a"}, 'must be one of "assistant", "developer", "system", "user", not "tool"'),
        ({"role": "user", "content": [{"type": "image_url"}]}, "messages[0].content[0]"),
        ({"role": "user"}, "content: required"),
        ({"role": "user", "content": "a", "prefix": True}, "prefix is for the assistant's last turn"),
        ({"role": "assistant", "content": "a", "tool_calls": [{}]}, "must be null, not an array of 1"),
        ({"role": "user", "content": "a", "name": "Kim"}, "unknown field"),
    ],
)
def test_what_a_message_may_be(message: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read(json.dumps({"messages": [message]}).encode(), ChatCompletionRequest)
    assert refused.value.field == "messages"
    assert words in str(refused.value)


def test_no_field_is_both() -> None:
    known = {*CompletionRequest.__struct_fields__, *ChatCompletionRequest.__struct_fields__}
    assert not IGNORED & NEUTRAL.keys()
    assert not (IGNORED | NEUTRAL.keys()) & known


def test_the_docs_list_every_field() -> None:
    text = DOCS.read_text(encoding="utf-8")
    missing = {name for name in (*IGNORED, *NEUTRAL) if f"`{name}`" not in text}
    assert missing == set()
