"""Questions and answers as plain values: they can be shared between threads, and their bounds are told as they are."""

from typing import Any

import pytest
from plain_values import assert_unchangeable, values_of

from inference_server import messages
from inference_server.messages import NOBODY, Client, Limits


@pytest.mark.parametrize("kind", values_of(messages))
def test_nobody_changes_a_value(kind: Any) -> None:
    assert_unchangeable(kind)


def test_the_limits_told_are_those_that_hold() -> None:
    limits = Limits(1, 2, 3, 4, 5)
    assert (limits.max_top_k, limits.max_score_top_k) == (messages.MAX_TOP_K, messages.MAX_ALTERNATIVES)
    assert (limits.max_watch_token_ids, limits.max_draws) == (messages.MAX_WATCHED, messages.MAX_DRAWS)


def test_who_names_nothing_is_nobody() -> None:
    assert Client() == NOBODY
    assert Client("10.0.0.1") != NOBODY
