"""Sampler steps as the Python client takes them."""

import pytest
from nexttoken.v1 import next_token_pb2 as pb

from next_token_visualizer import LLAMA_CPP, ordered
from next_token_visualizer.requests import sampler


@pytest.mark.parametrize(
    ("form", "mask"),
    [
        ({"choices": ["a", "b"]}, pb.Mask(choices=pb.Choices(texts=["a", "b"]))),
        ({"regex": "a+"}, pb.Mask(regex="a+")),
        ({"json_schema": {"type": "object"}}, pb.Mask(json_schema='{"type": "object"}')),
        ({"json_schema": "true"}, pb.Mask(json_schema="true")),
        ({"grammar": 'start: "a"'}, pb.Mask(grammar='start: "a"')),
    ],
)
def test_a_mask_is_one_form(form: dict[str, object], mask: pb.Mask) -> None:
    assert sampler({"mask": form}) == pb.Sampler(mask=mask)


def test_a_mask_comes_first() -> None:
    steps = {"temperature": 0.8, "top_k": 4, "mask": {"regex": "a"}}
    for found in (ordered(steps), ordered(steps, LLAMA_CPP)):
        assert next(iter(found[0])) == "mask"
