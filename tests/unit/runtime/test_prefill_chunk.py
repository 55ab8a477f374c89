"""How the size of a step follows the time that steps take, as plain numbers."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_server.runtime.prefill_chunk import AIM, LEAST, PrefillChunk

Cost = Callable[[int], float]
COSTS: dict[str, tuple[Cost, int]] = {
    "slow": (lambda tokens: 0.05 + 0.005 * tokens, 38),
    "fast": (lambda tokens: 0.001 + 0.0001 * tokens, 512),
    "hopeless": (lambda tokens: 1.0 + tokens, LEAST),
}


@pytest.mark.parametrize("kind", COSTS)
def test_steps_come_to_take_the_time_they_may(kind: str) -> None:
    cost, expected = COSTS[kind]
    pace = PrefillChunk(512, 0.3)
    for _ in range(20):
        pace.took(pace.tokens, cost(pace.tokens))
    assert pace.tokens == pytest.approx(expected, rel=0.1)
    assert expected in (LEAST, 512) or cost(pace.tokens) == pytest.approx(AIM * 0.3, rel=0.1)


def test_steps_shrink_as_what_stands_before_them_grows() -> None:
    pace, at, sizes, longest = PrefillChunk(512, 0.3), 0, list[int](), 0.0
    while at < 8000:
        tokens = pace.tokens
        seconds = 0.02 + tokens * (0.001 + at * 1e-6)
        pace.took(tokens, seconds)
        sizes.append(tokens)
        longest = max(longest, seconds)
        at += tokens
    assert longest < 0.3
    assert max(sizes) > 1.5 * sizes[-1]


def test_a_first_chunk_that_must_be_short_is_and_chunks_grow_from_there() -> None:
    pace, sizes = PrefillChunk(512, 0.1, least=4, first=4), list[int]()
    for _ in range(20):
        sizes.append(pace.tokens)
        pace.took(pace.tokens, 0.02 + 0.002 * pace.tokens)
    assert sizes[0] == 4
    assert sizes == sorted(sizes)
    assert sizes[-1] == pytest.approx(30, rel=0.1)


def test_one_disturbed_step_counts_for_little() -> None:
    pace = PrefillChunk(512, 0.3)
    for _ in range(20):
        pace.took(pace.tokens, 0.002 * pace.tokens)
    before = pace.tokens
    pace.took(before, 100.0)
    assert pace.tokens >= before // 2


def test_short_parts_say_nothing_of_full_steps() -> None:
    pace = PrefillChunk(512, 0.3)
    before = pace.tokens
    pace.took(before // 2 - 1, 1e-6)
    pace.took(1, 1e6)
    assert pace.tokens == before


@given(st.integers(1, 600), st.lists(st.tuples(st.integers(1, 600), st.floats(0, 1e6)), max_size=20))
def test_whatever_steps_take_their_size_stays_in_bounds(most: int, steps: list[tuple[int, float]]) -> None:
    pace = PrefillChunk(most, 0.3)
    for tokens, seconds in steps:
        pace.took(tokens, seconds)
        assert min(LEAST, most) <= pace.tokens <= most
