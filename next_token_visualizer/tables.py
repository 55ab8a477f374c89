"""Answers as rows: for printing, JSON and pandas."""

from collections.abc import Iterable
from typing import Any, TypeAlias

from google.protobuf.message import Message
from nexttoken.v1 import next_token_pb2 as pb

Tabular: TypeAlias = pb.TopKResponse | pb.ScoreResponse | pb.LayersResponse | pb.CompareResponse | Iterable[Message]

NESTED = ("token", "candidate")  # submessages whose fields belong to the row itself
SAMPLED = "sampled"  # a submessage whose fields get this in front; no columns without sampler steps
AROUND = (
    pb.GenerateStart,
    pb.GenerateFinish,
    pb.GrowStart,
    pb.GrownMass,
    pb.GrowFinish,
    pb.InfluenceStart,
    pb.InfluenceEnd,
)  # events that are no rows of a stream's table


def rows(answer: Tabular) -> list[dict[str, Any]]:
    """One dict per candidate, scored token, or message of a list or stream such as that of models.

    Of layers: one per candidate or watched token of each layer. Of streams: one per generated token, node or change.
    """
    match answer:
        case pb.TopKResponse() | pb.CompareResponse():
            return [row(candidate) for candidate in answer.candidates]
        case pb.ScoreResponse():
            return [row(token) for token in answer.tokens]
        case pb.LayersResponse():
            return [each for layer in answer.layers for each in layer_rows(layer)]
    return [row(message) for message in answer if not isinstance(message, AROUND)]


def layer_rows(layer: pb.Layer) -> list[dict[str, Any]]:
    """The layer's own fields with each of its candidates, then with each watched token."""
    own = {name: value for name, value in row(layer).items() if name not in ("candidates", "watched")}
    return [
        {**own, "watched": watched, **row(candidate)}
        for watched, candidates in ((False, layer.candidates), (True, layer.watched))
        for candidate in candidates
    ]


def row(message: Message) -> dict[str, Any]:
    """The message's own fields by name; None for those that are absent. Lists become lists of rows."""
    if isinstance(message, pb.ComparedToken):
        return {**row(message.token), **place(message, "a"), **place(message, "b")}
    values: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if field.name in NESTED:
            values |= row(value)
        elif field.name == SAMPLED:
            values |= {f"{SAMPLED}_{name}": each for name, each in row(value).items() if message.HasField(SAMPLED)}
        elif field.is_repeated:
            values[field.name] = [row(item) for item in value] if field.message_type else list(value)
        elif field.has_presence and not message.HasField(field.name):
            values[field.name] = None
        elif field.enum_type:
            values[field.name] = field.enum_type.values_by_number[value].name
        else:
            values[field.name] = row(value) if field.message_type else value
    return values


def place(token: pb.ComparedToken, side: str) -> dict[str, Any]:
    """Where the token is on one side, as `rank_a` and so on; None where that side has no such token."""
    present = token.HasField(side)
    return {f"{name}_{side}": value if present else None for name, value in row(getattr(token, side)).items()}


def to_pandas(answer: Tabular) -> Any:
    """`rows` as a pandas.DataFrame. Raises ImportError without pandas."""
    import pandas  # optional

    return pandas.DataFrame(rows(answer))
