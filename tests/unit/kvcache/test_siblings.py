"""Values found by the tokens they begin with: against looking at each, and how many comparisons it takes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_server.kvcache.siblings import Siblings, shared

tokens = st.lists(st.integers(0, 2), min_size=1, max_size=6).map(tuple)


def among(each: Any) -> Siblings[str]:
    siblings: Siblings[str] = Siblings()
    for one in each:
        siblings.add(one, str(one))
    return siblings


@given(st.sets(tokens, max_size=30), st.sets(tokens, max_size=8), tokens)
def test_the_closest_is_what_looking_at_each_finds(
    there: set[tuple[int, ...]], gone: set[tuple[int, ...]], wanted: tuple[int, ...]
) -> None:
    siblings = among(there)
    for one in there & gone:
        siblings.remove(one)
    left = there - gone
    assert list(siblings) == sorted(left)
    assert len(siblings) == len(left)
    best, most = siblings.closest(wanted)
    assert most == max((shared(one, wanted) for one in left), default=0)
    assert best is None if most == 0 else best in {str(one) for one in left if shared(one, wanted) == most}
    assert siblings.get(wanted) == (str(wanted) if wanted in left else None)
    if wanted in left:
        assert best == str(wanted)


@pytest.mark.parametrize(
    ("one", "other", "count"),
    [((1, 2, 3), (1, 2, 4), 2), ((1, 2), (1, 2, 4), 2), ((1, 2, 3), (1, 2, 3), 3), ((5,), (6,), 0)],
)
def test_how_many_first_tokens_are_shared(one: tuple[int, ...], other: tuple[int, ...], count: int) -> None:
    assert shared(one, other) == shared(other, one) == count


def test_what_is_not_there_cannot_be_taken_out() -> None:
    with pytest.raises(KeyError):
        among([(1, 2)]).remove((1,))


class Counted(int):
    """A token that counts how often it is compared."""

    compared = 0
    __hash__ = int.__hash__

    def __lt__(self, other: int) -> bool:
        Counted.compared += 1
        return int.__lt__(self, other)

    def __eq__(self, other: object) -> bool:
        Counted.compared += 1
        return int.__eq__(self, other)


def comparisons(siblings: int) -> int:
    """How often a token is compared while one of so many prompts that begin alike is found."""
    here = among((Counted(1), Counted(at), Counted(at % 7)) for at in range(0, 2 * siblings, 2))
    Counted.compared = 0
    assert here.closest((Counted(1), Counted(siblings | 1), Counted(3)))[1] == 1
    return Counted.compared


def test_a_hundred_times_as_many_cost_a_few_comparisons_more() -> None:
    assert comparisons(20_000) <= comparisons(200) + 40
