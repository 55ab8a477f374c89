"""The values of conversations: they can be shared between threads, and their bounds are those told to clients."""

from typing import Any

import pytest
from plain_values import assert_unchangeable, values_of

from inference_server import chat_messages
from web_gateway.api import openapi


@pytest.mark.parametrize("kind", values_of(chat_messages))
def test_nobody_changes_a_value(kind: Any) -> None:
    assert_unchangeable(kind)


def test_the_bounds_told_are_those_that_hold() -> None:
    schemas = openapi.document()["components"]["schemas"]
    messages = schemas["RenderChatRequest"]["properties"]["messages"]
    assert (messages["minItems"], messages["maxItems"]) == (1, chat_messages.MAX_MESSAGES)
    assert set(schemas["ChatMessage"]["properties"]["role"]["enum"]) == set(chat_messages.ROLES)
