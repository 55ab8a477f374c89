"""Sampler steps as plain values."""

from collections.abc import Callable
from typing import Any

from nexttoken.v1 import next_token_pb2 as pb

from inference_server.errors import InvalidField
from inference_server.sampler_messages import (
    CHOICES,
    FREQUENCY,
    PRESENCE,
    REPETITION,
    Amount,
    Ban,
    LogitBias,
    Penalty,
    Sampler,
    TextMask,
    Xtc,
)


def read_sampler(message: pb.Sampler) -> Sampler:
    """One step. Raises InvalidField for one with nothing set."""
    name = message.WhichOneof("step")
    if name is None:
        raise InvalidField("samplers", f"each step must be one of {', '.join(NAMES)}, got none")
    value = getattr(message, name)
    return READERS[name](name, value) if name in READERS else Amount(name, value)


def read_xtc(_: str, message: pb.Xtc) -> Sampler:
    """Fields that are not set keep their defaults."""
    return Xtc(**{field.name: value for field, value in message.ListFields()})


def read_penalty(name: str, message: pb.Penalty) -> Sampler:
    """One of the three."""
    return Penalty(name, message.penalty, message.last if message.HasField("last") else None, message.ignore_prompt)


def read_bias(_: str, message: pb.LogitBias) -> Sampler:
    """In the order given."""
    return LogitBias(tuple(each.token_id for each in message.biases), tuple(each.bias for each in message.biases))


def read_mask(_: str, message: pb.Mask) -> Sampler:
    """Its form. Raises InvalidField for one with nothing set."""
    kind = message.WhichOneof("form")
    if kind is None:
        raise InvalidField("samplers", f"mask must have one of {', '.join(KINDS)}, got none")
    return TextMask(kind, tuple(message.choices.texts) if kind == CHOICES else (getattr(message, kind),))


KINDS = tuple(field.name for field in pb.Mask.DESCRIPTOR.oneofs_by_name["form"].fields)
NAMES = tuple(field.name for field in pb.Sampler.DESCRIPTOR.oneofs_by_name["step"].fields)
READERS: dict[str, Callable[[str, Any], Sampler]] = {
    "xtc": read_xtc,
    "logit_bias": read_bias,
    "ban": lambda _, message: Ban(tuple(message.ids)),
    "mask": read_mask,
    **dict.fromkeys((REPETITION, FREQUENCY, PRESENCE), read_penalty),
}
