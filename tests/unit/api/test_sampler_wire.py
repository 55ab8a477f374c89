"""Sampler steps are read as they are given, in their order."""

import pytest
from nexttoken.v1 import next_token_pb2 as pb

from inference_server.api.convert import read_query
from inference_server.errors import InvalidField
from inference_server.messages import TopKQuery
from inference_server.sampler_messages import Amount, Ban, LogitBias, Penalty, TextMask, Xtc


def test_steps_keep_their_order_and_their_defaults() -> None:
    request = pb.TopKRequest(
        text="a",
        answer_start=0,
        samplers=[
            pb.Sampler(min_p=0.5),
            pb.Sampler(temperature=0),
            pb.Sampler(top_k=3),
            pb.Sampler(xtc=pb.Xtc(probability=0.5)),
            pb.Sampler(xtc=pb.Xtc(probability=0.5, threshold=0, coin=0.5)),
            pb.Sampler(logit_bias=pb.LogitBias(biases=[pb.TokenBias(token_id=4, bias=-2)])),
            pb.Sampler(ban=pb.TokenIds(ids=[7, 8])),
            pb.Sampler(repetition_penalty=pb.Penalty(penalty=1.5)),
            pb.Sampler(frequency_penalty=pb.Penalty(penalty=-1, last=0, ignore_prompt=True)),
        ],
    )
    query = read_query(TopKQuery, request)
    assert query.answer_start == 0
    assert query.samplers == (
        Amount("min_p", 0.5),
        Amount("temperature", 0),
        Amount("top_k", 3),
        Xtc(0.5, 0.1, None),
        Xtc(0.5, 0, 0.5),
        LogitBias((4,), (-2.0,)),
        Ban((7, 8)),
        Penalty("repetition_penalty", 1.5),
        Penalty("frequency_penalty", -1, last=0, ignore_prompt=True),
    )


def test_a_mask_is_one_form() -> None:
    masks = [
        pb.Mask(choices=pb.Choices(texts=["a", "b"])),
        pb.Mask(regex="a+"),
        pb.Mask(json_schema="{}"),
        pb.Mask(grammar="start: /a/"),
    ]
    request = pb.TopKRequest(text="a", constrained_from=0, samplers=[pb.Sampler(mask=mask) for mask in masks])
    query = read_query(TopKQuery, request)
    assert query.constrained_from == 0
    assert query.samplers == (
        TextMask("choices", ("a", "b")),
        TextMask("regex", ("a+",)),
        TextMask("json_schema", ("{}",)),
        TextMask("grammar", ("start: /a/",)),
    )
    with pytest.raises(InvalidField, match=r"samplers: mask must have one of choices, .*, grammar, got none"):
        read_query(TopKQuery, pb.TopKRequest(text="a", samplers=[pb.Sampler(mask=pb.Mask())]))


def test_a_step_must_be_something() -> None:
    with pytest.raises(InvalidField, match=r"samplers: each step must be one of temperature, .*, got none"):
        read_query(TopKQuery, pb.TopKRequest(text="a", samplers=[pb.Sampler(top_p=0.5), pb.Sampler()]))
