"""Parts within parts."""

import pytest

from inference_server.influence_messages import InfluenceUnit


def unit(start: int, end: int) -> InfluenceUnit:
    return InfluenceUnit(start, end, "word", "", is_special=False, has_first_token=start == 0)


@pytest.mark.parametrize(("other", "held"), [((2, 5), True), ((2, 3), True), ((1, 3), False), ((4, 6), False)])
def test_a_part_holds_those_within_it(other: tuple[int, int], held: bool) -> None:
    assert unit(2, 5).holds(unit(*other)) == held
