"""The events of streamed answers."""

from typing import Any, TypeAlias

from nexttoken.v1 import next_token_pb2 as pb

GenerateEvent: TypeAlias = pb.GenerateStart | pb.GeneratedToken | pb.GenerateFinish
GrowEvent: TypeAlias = pb.GrowStart | pb.GrownNode | pb.GrownMass | pb.GrowFinish
InfluenceEvent: TypeAlias = pb.InfluenceStart | pb.InfluenceChange | pb.InfluenceEnd


def event_of(response: Any) -> Any:
    """The one event of a stream's message."""
    return getattr(response, response.WhichOneof("event"))
