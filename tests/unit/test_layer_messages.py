"""Layers' values have the fields of the contract."""

from dataclasses import fields

import pytest
from nexttoken.v1 import next_token_pb2 as pb

from inference_server import layer_messages


def names(kind: type) -> set[str]:
    return {field.name for field in fields(kind)}


@pytest.mark.parametrize("name", ["Layer", "Commitment", "Contribution"])
def test_a_value_has_the_fields_of_its_message(name: str) -> None:
    assert names(getattr(layer_messages, name)) == set(getattr(pb, name).DESCRIPTOR.fields_by_name)


def test_a_query_has_the_fields_of_its_message() -> None:
    assert names(layer_messages.LayersQuery) | {"model"} == set(pb.LayersRequest.DESCRIPTOR.fields_by_name)


def test_an_answer_has_the_fields_of_its_message() -> None:
    prompt = {"token_count", "cached_tokens", "context_limit", "prompt_tokens"}
    found = names(layer_messages.LayersAnswer) - prompt | {"model", "prompt"}
    assert found == set(pb.LayersResponse.DESCRIPTOR.fields_by_name)
