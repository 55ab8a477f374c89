"""The values of grow: they can be shared between threads, and their bounds are those told to clients."""

import dataclasses
from typing import Any

import pytest

from inference_server import grow_messages
from web_gateway.api import openapi

VALUES = [
    kind
    for kind in vars(grow_messages).values()
    if dataclasses.is_dataclass(kind) and getattr(kind, "__module__", "") == grow_messages.__name__
]


@pytest.mark.parametrize("kind", VALUES)
def test_nobody_changes_a_value(kind: Any) -> None:
    value = kind(**{field.name: b"" for field in dataclasses.fields(kind) if field.init})
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, dataclasses.fields(kind)[0].name, 1)
    assert not hasattr(value, "__dict__")


@pytest.mark.parametrize("field", ["depth", "coverage", "max_nodes", "width"])
def test_the_bounds_told_are_those_that_hold(field: str) -> None:
    rule = openapi.document()["components"]["schemas"]["GrowRequest"]["properties"][field]
    most = {
        "depth": grow_messages.MAX_DEPTH,
        "coverage": 1,
        "max_nodes": grow_messages.MAX_NODES,
        "width": grow_messages.MAX_WIDTH,
    }
    assert rule["maximum"] == most[field]
    assert rule.get("default") == getattr(grow_messages.GrowQuery(), field)
