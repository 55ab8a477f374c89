"""Influence's messages: what is given is read, what is not keeps the query's default, and every event is written."""

from typing import Any

import pytest
from nexttoken.v1 import next_token_pb2 as pb

from inference_server.api.influence_wire import METHOD_OF, UNIT_OF, read_influence, write_influence
from inference_server.errors import InvalidField
from inference_server.influence_messages import (
    InfluenceChange,
    InfluenceEnd,
    InfluenceQuery,
    InfluenceStart,
    InfluenceUnit,
)
from inference_server.messages import Candidate, Timings, Token

TARGET = Candidate(Token(5, b"dog", is_special=False), 2, 1.5, 0.25, -1.4)


def test_a_question_is_read_as_it_is_given() -> None:
    assert read_influence(pb.InfluenceRequest()) == InfluenceQuery()
    request = pb.InfluenceRequest(
        token_ids=pb.TokenIds(ids=[1, 2]),
        target=0,
        contrast=4,
        unit=pb.INFLUENCE_UNIT_KIND_TOKEN,
        method=pb.INFLUENCE_METHOD_TAKE_OUT,
        replace_with=0,
        budget=10,
    )
    assert read_influence(request) == InfluenceQuery(None, (1, 2), 0, 4, "token", "take_out", 0, 10)


def test_every_unit_and_method_has_a_name() -> None:
    assert set(UNIT_OF) == set(pb.InfluenceUnitKind.values()) - {pb.INFLUENCE_UNIT_KIND_UNSPECIFIED}
    assert set(METHOD_OF) == set(pb.InfluenceMethod.values()) - {pb.INFLUENCE_METHOD_UNSPECIFIED}


@pytest.mark.parametrize("field", ["unit", "method"])
def test_unknown_numbers_are_refused(field: str) -> None:
    given: dict[str, Any] = {field: 99}
    with pytest.raises(InvalidField, match=r"must be one of 1 \(.*\), .*3 \(.*\), got 99") as refused:
        read_influence(pb.InfluenceRequest(**given))
    assert refused.value.field == field


def test_every_event_is_written() -> None:
    unit = InfluenceUnit(0, 2, "word", "a b", is_special=False, has_first_token=True)
    start = write_influence("m", InfluenceStart(2, [unit], -0.5, TARGET, None, 9))
    assert start.WhichOneof("event") == "start"
    assert (start.start.model, start.start.log_odds, start.start.target.rank) == ("m", -0.5, 2)
    assert start.start.units[0].kind == pb.INFLUENCE_UNIT_KIND_WORD
    assert not start.start.HasField("contrast")
    assert start.start.planned_tokens == 9
    change = write_influence("m", InfluenceChange(3, "gradient", -1.25)).change
    assert (change.unit, change.method, change.log_odds_change) == (3, pb.INFLUENCE_METHOD_GRADIENT, -1.25)
    for correlation in (None, 0.25):
        end = write_influence("m", InfluenceEnd(4, True, correlation, False, 70, Timings(1, 2, 3, 4))).done
        assert (end.measured, end.complete, end.computed_tokens, end.timings.total_ms) == (4, True, 70, 4)
        assert (end.rank_correlation if end.HasField("rank_correlation") else None) == correlation
