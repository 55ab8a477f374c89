"""The values of grow: they can be shared between threads, and their bounds are those told to clients."""

from typing import Any

import pytest
from plain_values import assert_unchangeable, values_of

from inference_server import grow_messages
from web_gateway.api import openapi


@pytest.mark.parametrize("kind", values_of(grow_messages))
def test_nobody_changes_a_value(kind: Any) -> None:
    assert_unchangeable(kind)


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
