"""A tree that broke off is grown again: what was given is left out, and a tree that differs ends the stream."""

from typing import Any

import pytest
from nexttoken.v1 import next_token_pb2 as pb

from web_gateway.errors import BrokenOff, Unavailable
from web_gateway.grow_messages import GrowFinish, GrownMass, GrownNode, GrowStart
from web_gateway.inference.resume import Growth
from web_gateway.messages import Candidate, Timings

MASS = GrownMass(covered=0.0, open=0.5, pruned=0.5)
START = GrowStart(model="m", token_ids=[1, 2], context_limit=64)


def grown(number: int, parent: int = 0, token_id: int = 5) -> GrownNode:
    token = Candidate(
        token_id=token_id, text="a", bytes=b"a", is_special=False, rank=1, logit=0.0, probability=0.5, logprob=-0.7
    )
    return GrownNode(id=number, parent=parent, token=token, path_logprob=-0.7, depth=1, is_end=False)


def finish(count: int) -> GrowFinish:
    timings = Timings(queue=0, tokenize=0, model=0, total=0)
    return GrowFinish(finish_reason="complete", node_count=count, mass=MASS, timings_ms=timings)


def test_a_tree_is_grown_again_without_what_was_given() -> None:
    progress = Growth(pb.GrowRequest(text="a", depth=2))
    with pytest.raises(Unavailable):
        progress.go_on(Unavailable("gone"))
    assert all(progress.takes(event) for event in (START, grown(1), MASS, grown(2, 1)))
    progress.go_on(Unavailable("gone"))
    assert progress.request == pb.GrowRequest(model="m", token_ids=pb.TokenIds(ids=[1, 2]), depth=2)
    assert not any(progress.takes(event) for event in (START, grown(1), MASS, grown(2, 1), MASS))
    assert progress.takes(grown(3, 1, 6))
    assert progress.takes(MASS)
    assert not progress.complete
    assert progress.takes(finish(3))
    assert progress.complete


@pytest.mark.parametrize("other", [grown(2, 0), grown(2, 1, 6), "short"])
def test_a_tree_that_differs_elsewhere_ends_the_stream(other: Any) -> None:
    progress = Growth(pb.GrowRequest(text="a"))
    for event in (START, grown(1), grown(2, 1)):
        progress.takes(event)
    progress.go_on(Unavailable("gone"))
    if other == "short":
        other = finish(1)
    progress.takes(grown(1))
    with pytest.raises(BrokenOff, match="broken off after 2 nodes") as broken:
        progress.takes(other)
    with pytest.raises(BrokenOff, match="differs"):
        progress.go_on(broken.value)
