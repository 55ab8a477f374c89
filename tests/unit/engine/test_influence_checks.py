"""The bad-input table of Influence: each row's field and words."""

from typing import Any

import pytest

from inference_server.engine.influence_checks import check_influence
from inference_server.errors import InvalidField
from inference_server.influence_messages import InfluenceQuery


def check(**asked: Any) -> None:
    check_influence(InfluenceQuery(text="a", **asked), vocab_size=300, max_text_bytes=9, max_budget=65_536)


@pytest.mark.parametrize(
    ("asked", "field", "words"),
    [
        ({}, "target", "must be given"),
        ({"target": -1}, "target", "must be an id from 0 to"),
        ({"target": 10**6}, "target", "must be an id from 0 to"),
        ({"target": 1, "contrast": 10**6}, "contrast", "must be an id from 0 to"),
        ({"target": 1, "contrast": 1}, "contrast", "must be another token"),
        ({"target": 1, "unit": "letter"}, "unit", "one of token, word, sentence"),
        ({"target": 1, "method": "guess"}, "method", "one of hide, take_out, gradient"),
        ({"target": 1, "replace_with": 3}, "replace_with", "only method take_out takes it, not hide"),
        ({"target": 1, "budget": 3, "method": "gradient"}, "budget", "only method take_out takes it, not gradient"),
        ({"target": 1, "method": "take_out", "replace_with": -3}, "replace_with", "must be an id from 0 to"),
        ({"target": 1, "method": "take_out", "budget": 0}, "budget", "must be from 1 to 65,536, got 0"),
        ({"target": 1, "method": "take_out", "budget": 65_537}, "budget", "must be from 1 to 65,536"),
    ],
)
def test_bad_questions_are_refused(asked: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(InvalidField, match=words) as refused:
        check(**asked)
    assert refused.value.field == field


@pytest.mark.parametrize(
    "asked",
    [
        {"target": 0},
        {"target": 299, "contrast": 0, "unit": "sentence", "method": "gradient"},
        {"target": 1, "unit": "token", "method": "take_out", "replace_with": 1, "budget": 65_536},
    ],
)
def test_good_questions_pass(asked: dict[str, Any]) -> None:
    check(**asked)


def test_the_prompt_is_checked_as_elsewhere() -> None:
    with pytest.raises(InvalidField, match="at most 9 bytes"):
        check_influence(InfluenceQuery(text="a" * 10, target=1), 300, 9, 10)
