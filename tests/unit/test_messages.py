"""Questions and answers as plain values: they can be shared between threads, and their bounds are told as they are."""

import dataclasses
from typing import Any

import pytest

from inference_server import messages
from inference_server.messages import NOBODY, Client, Limits

VALUES = [kind for kind in vars(messages).values() if dataclasses.is_dataclass(kind)]


@pytest.mark.parametrize("kind", VALUES)
def test_nobody_changes_a_value(kind: Any) -> None:
    value = kind(**{field.name: b"" for field in dataclasses.fields(kind) if field.init})
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, dataclasses.fields(kind)[0].name, 1)
    assert not hasattr(value, "__dict__")


def test_the_limits_told_are_those_that_hold() -> None:
    limits = Limits(1, 2, 3, 4, 5)
    assert (limits.max_top_k, limits.max_score_top_k) == (messages.MAX_TOP_K, messages.MAX_ALTERNATIVES)
    assert (limits.max_watch_token_ids, limits.max_draws) == (messages.MAX_WATCHED, messages.MAX_DRAWS)


def test_who_names_nothing_is_nobody() -> None:
    assert Client() == NOBODY
    assert Client("10.0.0.1") != NOBODY
