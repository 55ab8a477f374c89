"""Answers as rows: for printing, JSON and pandas."""

from collections.abc import Iterable
from typing import Any

from google.protobuf.message import Message
from nexttoken.v1 import next_token_pb2 as pb

NESTED = ("token", "candidate")  # submessages whose fields belong to the row itself


def rows(answer: pb.TopKResponse | pb.ScoreResponse | Iterable[Message]) -> list[dict[str, Any]]:
    """One dict per candidate, per scored token, or per message of a list such as that of models."""
    if isinstance(answer, pb.TopKResponse):
        return [row(candidate) for candidate in answer.candidates]
    if isinstance(answer, pb.ScoreResponse):
        return [row(token) for token in answer.tokens]
    return [row(message) for message in answer]


def row(message: Message) -> dict[str, Any]:
    """The message's own fields by name; None for those that are absent. Lists become lists of rows."""
    values: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if field.name in NESTED:
            values |= row(value)
        elif field.is_repeated:
            values[field.name] = [row(item) for item in value] if field.message_type else list(value)
        elif field.has_presence and not message.HasField(field.name):
            values[field.name] = None
        elif field.enum_type:
            values[field.name] = field.enum_type.values_by_number[value].name
        else:
            values[field.name] = row(value) if field.message_type else value
    return values


def to_pandas(answer: pb.TopKResponse | pb.ScoreResponse | Iterable[Message]) -> Any:
    """`rows` as a pandas.DataFrame. Raises ImportError without pandas."""
    import pandas  # optional

    return pandas.DataFrame(rows(answer))
