"""The values of tokenizing can be shared between threads."""

from typing import Any

import pytest
from plain_values import assert_unchangeable, values_of

from inference_server import tokenize_messages


@pytest.mark.parametrize("kind", values_of(tokenize_messages))
def test_nobody_changes_a_value(kind: Any) -> None:
    assert_unchangeable(kind)
