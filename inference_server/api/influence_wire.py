"""Influence's messages to plain values and back."""

from typing import Any

from nexttoken.v1 import next_token_pb2 as pb

from inference_server.api.convert import to_fields
from inference_server.errors import InvalidField
from inference_server.influence_messages import (
    METHODS,
    UNITS,
    InfluenceChange,
    InfluenceEvent,
    InfluenceQuery,
    InfluenceStart,
)

KIND, METHOD = "INFLUENCE_UNIT_KIND_", "INFLUENCE_METHOD_"
UNIT_OF = {pb.InfluenceUnitKind.Value(f"{KIND}{name.upper()}"): name for name in UNITS}
METHOD_OF = {pb.InfluenceMethod.Value(f"{METHOD}{name.upper()}"): name for name in METHODS}


def read_influence(request: pb.InfluenceRequest) -> InfluenceQuery:
    """A request as a query; fields that the request leaves unset keep the query's defaults.

    Raises InvalidField for an unknown unit or method.
    """
    fields: dict[str, Any] = {field.name: value for field, value in request.ListFields() if field.name != "model"}
    if "token_ids" in fields:
        fields["token_ids"] = tuple(fields["token_ids"].ids)
    for field, names in (("unit", UNIT_OF), ("method", METHOD_OF)):
        if field in fields:
            if fields[field] not in names:
                allowed = ", ".join(f"{number} ({name})" for number, name in names.items())
                raise InvalidField(field, f"must be one of {allowed}, got {fields[field]}")
            fields[field] = names[fields[field]]
    return InfluenceQuery(**fields)


def write_influence(model: str, event: InfluenceEvent) -> pb.InfluenceResponse:
    """An event as its message."""
    fields = to_fields(event)
    if isinstance(event, InfluenceStart):
        for unit in fields["units"]:
            unit["kind"] = KIND + unit["kind"].upper()
        return pb.InfluenceResponse(start=pb.InfluenceStart(model=model, **fields))
    if isinstance(event, InfluenceChange):
        fields["method"] = METHOD + event.method.upper()
        return pb.InfluenceResponse(change=pb.InfluenceChange(**fields))
    return pb.InfluenceResponse(done=pb.InfluenceEnd(**fields))
