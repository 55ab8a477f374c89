"""Which prompts are looked ahead of, as tables."""

import pytest

from inference_server.runtime.prefetch import MAX_PROMPTS, Prefetcher
from inference_server.sequence import Ids


def done(ahead: Prefetcher[str], ids: Ids, choices: tuple[int, ...]) -> None:
    """Answers a prompt and looks ahead of it."""
    assert ahead.expect(ids) == []
    assert ahead.next() == ids
    ahead.ready(ids, choices, f"held {ids}")


@pytest.mark.parametrize(
    ("answered", "to_do"),
    [
        ([], []),
        ([(1,)], [(1,)]),
        ([(1,), (2,)], [(2,), (1,)]),  # the newest first
        ([(1,), (2,), (1,)], [(1,), (2,)]),
        ([(1, 2), (1, 2, 3)], [(1, 2, 3)]),  # a click abandons what it grew from
        ([(1, 2, 3), (1, 2)], [(1, 2)]),  # and an undo what it left
        ([(1, 2, 3), (1, 2, 4)], [(1, 2, 4), (1, 2, 3)]),  # another's prompt, or an edit
        ([(1, 2, 3), (1,), (2,)], [(2,), (1,)]),
    ],
)
def test_what_is_to_do(answered: list[Ids], to_do: list[Ids]) -> None:
    ahead = Prefetcher[str]()
    for each in answered:
        ahead.expect(each)
    found = []
    while (ids := ahead.next()) is not None:
        found.append(ids)
    assert found == to_do
    assert len(ahead) == 0


def test_what_is_ready_stays_through_clicks_and_undos() -> None:
    ahead = Prefetcher[str]()
    done(ahead, (1, 2), (5, 6))
    assert ahead.next() is None
    assert ahead.behind((1, 2, 5)) == ahead.behind((1, 2, 6)) == "held (1, 2)"
    assert ahead.behind((1, 2, 7)) is ahead.behind((1, 2)) is ahead.behind((5,)) is None
    done(ahead, (1, 2, 5), (8,))
    assert ahead.expect((1, 2)) == []
    assert ahead.next() is None
    assert ahead.behind((1, 2, 6)) == "held (1, 2)"
    assert ahead.clear() == ["held (1, 2, 5)", "held (1, 2)"]
    assert len(ahead) == 0
    assert ahead.behind((1, 2, 6)) is None


def test_the_oldest_gives_way() -> None:
    ahead = Prefetcher[str]()
    for first in range(MAX_PROMPTS):
        done(ahead, (first,), (9,))
    assert ahead.expect((0,)) == []
    assert ahead.expect((100,)) == ["held (1,)"]
    assert ahead.expect((101,)) == ["held (2,)"]
    assert len(ahead) == MAX_PROMPTS
