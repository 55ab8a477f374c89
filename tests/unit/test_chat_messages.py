"""The values of conversations: they can be shared between threads, and their bounds are those told to clients."""

import dataclasses
from typing import Any

import pytest

from inference_server import chat_messages
from web_gateway.api import openapi

VALUES = [
    kind
    for kind in vars(chat_messages).values()
    if dataclasses.is_dataclass(kind) and getattr(kind, "__module__", "") == chat_messages.__name__
]


@pytest.mark.parametrize("kind", VALUES)
def test_nobody_changes_a_value(kind: Any) -> None:
    value = kind(**{field.name: b"" for field in dataclasses.fields(kind) if field.init})
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, dataclasses.fields(kind)[0].name, 1)
    assert not hasattr(value, "__dict__")


def test_the_bounds_told_are_those_that_hold() -> None:
    schemas = openapi.document()["components"]["schemas"]
    messages = schemas["RenderChatRequest"]["properties"]["messages"]
    assert (messages["minItems"], messages["maxItems"]) == (1, chat_messages.MAX_MESSAGES)
    assert set(schemas["ChatMessage"]["properties"]["role"]["enum"]) == set(chat_messages.ROLES)
