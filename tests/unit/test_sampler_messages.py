"""The values of sampler steps: they can be shared between threads, and their names are the contract's."""

from typing import Any, get_args

import pytest
from nexttoken.v1 import next_token_pb2 as pb
from plain_values import assert_unchangeable, values_of

from inference_server import sampler_messages
from inference_server.engine.sampler_checks import RANGES
from inference_server.sampling.samplers import AMOUNTS


@pytest.mark.parametrize("kind", values_of(sampler_messages))
def test_nobody_changes_a_value(kind: Any) -> None:
    assert_unchangeable(kind)


def test_every_step_of_the_contract_is_known() -> None:
    steps = {field.name for field in pb.Sampler.DESCRIPTOR.oneofs_by_name["step"].fields}
    penalties = {sampler_messages.REPETITION, sampler_messages.FREQUENCY, sampler_messages.PRESENCE}
    assert set(RANGES) == {*AMOUNTS, *penalties}
    assert steps == {*RANGES, "xtc", "logit_bias", "ban", "mask"}
    assert len(get_args(sampler_messages.Sampler)) == len(values_of(sampler_messages)) - 2  # and two kinds of results
