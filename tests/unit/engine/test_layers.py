"""What Layers accepts, and when a model counts as committed."""

import math
from dataclasses import replace
from typing import Any

import pytest

from inference_server.engine.layers import check_attention, check_layers, commitment, up_to
from inference_server.errors import InvalidField
from inference_server.layer_messages import Commitment, LayersQuery
from inference_server.messages import ModelFacts
from inference_server.sampling.distribution import RankedToken

FACTS = ModelFacts(1, "cpu", "float32", 50, 64, "SomeForCausalLM", layers=2)


def place(rank: int, probability: float = 0.1) -> RankedToken:
    return RankedToken(3, rank, 0.0, probability, 0.0)


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ([place(1, 0.9)], Commitment(0, 0, 0)),
        ([place(9), place(3), place(1), place(2), place(1, 0.6)], Commitment(4, 1, 4)),
        ([place(1, 0.9), place(4, 0.9), place(1, 0.5)], Commitment(2, 2, None)),
        ([place(2), place(1, 0.51), place(1, 0.51)], Commitment(1, 0, 1)),
    ],
)
def test_commitment_is_the_first_layer_from_which_on_it_holds(places: list[RankedToken], expected: Commitment) -> None:
    assert commitment(places) == expected


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("top_k", 0, "must be from 1 to 50 (all of this model's vocabulary), got 0"),
        ("temperature", math.nan, "must be from 0 to 100, got nan"),
        ("watch_token_ids", (50,), "must be ids from 0 to 49, got 50 at index 0"),
        ("watch_token_ids", (1,) * 33, "must be at most 32 ids, got 33"),
        ("contrast", (1,), "must be two ids, or none, got 1"),
        ("contrast", (1, 2, 3), "must be two ids, or none, got 3"),
        ("contrast", (1, -1), "must be ids from 0 to 49, got -1 at index 1"),
        ("contrast", (4, 4), "must be two different ids, got 4 twice"),
    ],
)
def test_a_field_out_of_range_is_named(field: str, value: Any, words: str) -> None:
    with pytest.raises(InvalidField) as refused:
        check_layers(replace(LayersQuery(text="a"), **{field: value}), FACTS, 100)
    assert (refused.value.field, refused.value.fault) == (field, words)


@pytest.mark.parametrize(
    ("refusal", "asked", "field"),
    [
        ("layers_refusal", {}, "model"),
        ("contrast_refusal", {"contrast": (1, 2)}, "contrast"),
        ("attention_refusal", {"include_attention": True}, "include_attention"),
    ],
)
def test_what_a_model_cant_tell_is_refused_in_its_words(refusal: str, asked: dict[str, Any], field: str) -> None:
    given: dict[str, Any] = {refusal: "not this one"}
    facts = replace(FACTS, **given)
    with pytest.raises(InvalidField) as refused:
        check_layers(LayersQuery(text="a", **asked), facts, 100)
    assert (refused.value.field, refused.value.fault) == (field, "not this one")
    if asked:
        check_layers(LayersQuery(text="a"), facts, 100)


def test_a_position_cuts_the_prompt_behind_it() -> None:
    assert [up_to((5, 6, 7), position) for position in (None, 0, 2)] == [(5, 6, 7), (5,), (5, 6, 7)]
    for wrong in (-1, 3, 2**31 - 1):
        with pytest.raises(InvalidField, match="position: must be from 0 to 2, the prompt's last token"):
            up_to((5, 6, 7), wrong)


def test_attention_of_too_many_tokens_is_refused() -> None:
    check_attention(LayersQuery(include_attention=True), 8, 8)
    check_attention(LayersQuery(), 9, 8)
    with pytest.raises(InvalidField, match="include_attention: attention is told of at most 8 tokens"):
        check_attention(LayersQuery(include_attention=True), 9, 8)
