"""Influence's messages to plain values and back."""

from nexttoken.v1 import next_token_pb2 as pb

from inference_server.api.convert import read_query, to_fields
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
    """A request as a query. Raises InvalidField for an unknown unit or method."""
    return read_query(InfluenceQuery, request)


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
