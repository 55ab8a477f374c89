"""The values of compare: they can be shared between threads, and their bounds are those told to clients."""

import dataclasses
from typing import Any

import pytest

from inference_server import compare_messages
from web_gateway.api import openapi

VALUES = [
    kind
    for kind in vars(compare_messages).values()
    if dataclasses.is_dataclass(kind) and getattr(kind, "__module__", "") == compare_messages.__name__
]


@pytest.mark.parametrize("kind", VALUES)
def test_nobody_changes_a_value(kind: Any) -> None:
    value = kind(**{field.name: b"" for field in dataclasses.fields(kind) if field.init})
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, dataclasses.fields(kind)[0].name, 1)
    assert not hasattr(value, "__dict__")


def test_the_bounds_told_are_those_that_hold() -> None:
    top_k = openapi.document()["components"]["schemas"]["CompareRequest"]["properties"]["top_k"]
    question = compare_messages.ComparedQuestion()
    default = compare_messages.CompareQuery(question, question).top_k
    assert (top_k["minimum"], top_k["maximum"], top_k["default"]) == (1, compare_messages.MAX_COMPARED, default)
