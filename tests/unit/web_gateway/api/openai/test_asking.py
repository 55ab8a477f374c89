"""Which questions a request asks."""

from typing import Any

import pytest
from msgspec import UNSET

from web_gateway.api.openai.asking import asks, chat_ask, naming
from web_gateway.api.openai.requests import ChatCompletionRequest, CompletionRequest, Message
from web_gateway.errors import InvalidRequest
from web_gateway.generate_messages import GenerateRequest


@pytest.mark.parametrize(
    ("prompt", "prompts"),
    [
        ("", [""]),
        ("ab", ["ab"]),
        ([5, 6], [[5, 6]]),
        (["a", "b"], ["a", "b"]),
        ([[5], []], [[5], []]),
    ],
)
def test_prompts(prompt: Any, prompts: list[Any]) -> None:
    assert [ask.prompt for ask in asks(CompletionRequest(prompt=prompt))] == prompts


@pytest.mark.parametrize("prompt", [[], ["a", 5], ["a", [5]], [5, [5]], ["a"] * 129])
def test_what_is_no_prompt(prompt: Any) -> None:
    with pytest.raises(InvalidRequest) as refused:
        asks(CompletionRequest(prompt=prompt))
    assert refused.value.field == "prompt"


@pytest.mark.parametrize(
    ("fields", "generates", "score_top"),
    [
        ({}, True, None),
        ({"logprobs": 3}, True, None),
        ({"echo": True}, True, None),
        ({"echo": True, "logprobs": 3}, True, 3),
        ({"echo": True, "logprobs": 0, "max_tokens": 0}, False, 0),
        ({"prompt_logprobs": 0}, True, 0),
        ({"prompt_logprobs": 5, "echo": True, "logprobs": 2}, True, 5),
        ({"max_tokens": 0}, False, None),
    ],
)
def test_what_is_asked(fields: dict[str, Any], generates: bool, score_top: int | None) -> None:
    (ask,) = asks(CompletionRequest(prompt="a", **fields))
    assert (ask.generate is not None, ask.score_top) == (generates, score_top)


def test_defaults_are_openais_and_null_is_none_given() -> None:
    (ask,) = asks(CompletionRequest(prompt="a", temperature=None, seed=-1, stop=[]))
    assert ask.generate == GenerateRequest(text="a", max_tokens=16)


def test_every_field_arrives() -> None:
    fields: dict[str, Any] = {"temperature": 0.5, "top_p": 0.9, "min_p": 0.1, "seed": 3, "n": 2, "max_tokens": 4}
    (ask,) = asks(CompletionRequest(prompt=[7], model="m", stop="x", logprobs=2, stop_token_ids=[9], **fields))
    assert ask.generate == GenerateRequest(token_ids=[7], model="m", stop=["x"], top_k=2, stop_token_ids=[9], **fields)
    (ask,) = asks(CompletionRequest(prompt="a", ignore_eos=True))
    assert ask.generate is not None
    assert ask.generate.stop_token_ids == []


def test_a_chat_goes_on_to_the_end_of_the_context_unless_told() -> None:
    turn = Message(role="user", content="a")
    ask = chat_ask(ChatCompletionRequest(messages=[turn]), [1, 2])
    assert ask.generate == GenerateRequest(token_ids=[1, 2], max_tokens=1_000_000)
    query = ChatCompletionRequest(messages=[turn], max_tokens=5, max_completion_tokens=6, logprobs=True, top_logprobs=2)
    told = chat_ask(query, [1]).generate
    assert told is not None
    assert (told.max_tokens, told.top_k) == (6, 2)
    plain = chat_ask(ChatCompletionRequest(messages=[turn], logprobs=False), [1]).generate
    assert plain is not None
    assert plain.top_k is UNSET
    with pytest.raises(InvalidRequest) as refused:
        chat_ask(ChatCompletionRequest(messages=[turn], top_logprobs=2), [1])
    assert refused.value.field == "top_logprobs"


@pytest.mark.parametrize(
    ("role", "fields", "begins", "continued"),
    [
        ("user", {}, True, False),
        ("assistant", {}, False, True),
        ("assistant", {"add_generation_prompt": True}, True, False),
        ("user", {"add_generation_prompt": False}, False, False),
        ("user", {"continue_final_message": True}, False, True),
        ("assistant", {"continue_final_message": False}, True, False),
        ("assistant", {"continue_final_message": True, "add_generation_prompt": False}, False, True),
    ],
)
def test_a_last_turn_of_the_assistants_is_continued(
    role: Any, fields: dict[str, Any], begins: bool, continued: bool
) -> None:
    query = ChatCompletionRequest(messages=[Message(role=role, content="a")], **fields)
    assert (query.begins_turn, query.continued) == (begins, continued)


def test_errors_name_the_requests_fields() -> None:
    with pytest.raises(InvalidRequest) as told, naming({"text": "prompt"}):
        raise InvalidRequest("text: 9 tokens; too many", "text")
    assert (str(told.value), told.value.field) == ("prompt: 9 tokens; too many", "prompt")
    with pytest.raises(InvalidRequest) as kept, naming({"text": "prompt"}):
        raise InvalidRequest("n: must be less", "n")
    assert (str(kept.value), kept.value.field) == ("n: must be less", "n")
