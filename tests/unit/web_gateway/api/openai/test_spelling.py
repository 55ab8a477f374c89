"""Tokens by name: text, bytes or ids; of those with one name the likeliest is told."""

import math

import pytest

from web_gateway.api.openai import spelling
from web_gateway.api.openai.pieces import Placed, Written
from web_gateway.messages import Token


def token(token_id: int, data: bytes, special: bool = False) -> Token:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = None
    return Token(token_id=token_id, text=text, bytes=data, is_special=special)


A, TWIN, HALF, NONE = token(1, b" a"), token(2, b" a"), token(3, b" \xf0"), token(4, b"", special=True)
MARK = token(5, b"</s>", special=True)


@pytest.mark.parametrize(
    ("each", "text", "chat"),
    [
        (A, " a", " a"),
        (HALF, r"bytes:\x20\xf0", r"\x20\xf0"),
        (NONE, "token_id:4", "token_id:4"),
        (MARK, "</s>", "</s>"),
    ],
)
def test_names(each: Token, text: str, chat: str) -> None:
    assert spelling.name(each, by_id=False, prefix="bytes:") == text
    assert spelling.name(each, by_id=False) == chat
    assert spelling.name(each, by_id=True) == f"token_id:{each.token_id}"


def test_of_tokens_with_one_name_the_likeliest_is_told() -> None:
    written = Written(Placed(TWIN, -3.0, 2), [Placed(A, -0.5, 1), Placed(HALF, -2.0, 3)], offset=4)
    told = spelling.text_logprobs([written], 2, by_id=False)
    assert (told.tokens, told.token_logprobs, told.text_offset) == ([" a"], [-3.0], [4])
    assert told.top_logprobs == [{" a": -0.5, r"bytes:\x20\xf0": -2.0}]
    assert spelling.text_logprobs([written], 2, by_id=True).top_logprobs == [
        {"token_id:1": -0.5, "token_id:3": -2.0, "token_id:2": -3.0}
    ]
    assert spelling.text_logprobs([written], 0, by_id=False).top_logprobs == [{" a": -3.0}]


def test_the_greedy_token_has_exactly_the_highest_number() -> None:
    """As lm-evaluation-harness tells it."""
    number = math.log(0.3)
    written = Written(Placed(A, number, 1), [Placed(A, number, 1)])
    told = spelling.text_logprobs([written], 1, by_id=False)
    assert told.top_logprobs[0] is not None
    assert told.token_logprobs[0] == max(told.top_logprobs[0].values())


def test_a_first_token_and_an_impossible_one() -> None:
    first = Written(Placed(A, 0.0, 0), [], conditioned=False)
    never = Written(Placed(A, -math.inf, 9), [])
    told = spelling.text_logprobs([first, never], 1, by_id=False)
    assert (told.token_logprobs, told.top_logprobs) == ([None, -9999.0], [None, {" a": -9999.0}])
    assert spelling.prompt_logprobs([first], 1) == [None]


def test_chat_has_bytes_and_exactly_the_tokens_asked_for() -> None:
    written = Written(Placed(HALF, -2.0, 2), [Placed(A, -0.5, 1), Placed(MARK, -3.0, 3)])
    (told,) = spelling.chat_logprobs([written], 2, by_id=False)
    assert (told.token, told.bytes, told.logprob) == (r"\x20\xf0", [0x20, 0xF0], -2.0)
    assert [(each.token, each.bytes) for each in told.top_logprobs] == [(" a", [0x20, 0x61]), ("</s>", None)]
    assert spelling.chat_logprobs([written], 0, by_id=False)[0].top_logprobs == []


def test_prompt_logprobs_are_by_id_the_tokens_own_first() -> None:
    written = Written(Placed(TWIN, -3.0, 7), [Placed(A, -0.5, 1)])
    (none,) = spelling.prompt_logprobs([written], 0)
    (one,) = spelling.prompt_logprobs([written], 1)
    assert none is not None
    assert one is not None
    assert list(none) == ["2"]
    assert [(key, value.logprob, value.rank) for key, value in one.items()] == [("2", -3.0, 7), ("1", -0.5, 1)]
