"""The values of compare: they can be shared between threads, and their bounds are those told to clients."""

from typing import Any

import pytest
from plain_values import assert_unchangeable, values_of

from inference_server import compare_messages
from web_gateway.api import openapi


@pytest.mark.parametrize("kind", values_of(compare_messages))
def test_nobody_changes_a_value(kind: Any) -> None:
    assert_unchangeable(kind)


def test_the_bounds_told_are_those_that_hold() -> None:
    top_k = openapi.document()["components"]["schemas"]["CompareRequest"]["properties"]["top_k"]
    question = compare_messages.ComparedQuestion()
    default = compare_messages.CompareQuery(question, question).top_k
    assert (top_k["minimum"], top_k["maximum"], top_k["default"]) == (1, compare_messages.MAX_COMPARED, default)
