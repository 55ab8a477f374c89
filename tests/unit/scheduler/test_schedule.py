"""What a step computes of the sequences that wait, as a table."""

import dataclasses
from typing import Any

import pytest
from workers import FakeExecutor

from inference_server.interruption import Interruption
from inference_server.scheduler.schedule import allow, candidates, schedule
from inference_server.sequence import Limits, Sequence, Trace

LIMITS = Limits(prefill_tokens=100, score_tokens=40, background_tokens=33, head_rows=20)
EXECUTOR = FakeExecutor("any", list)


def prompt(remaining: int, cached: int = 10) -> Sequence[Any]:
    """With so many tokens in the cache and so many more to compute."""
    return Sequence(tuple(range(cached + remaining)), EXECUTOR, lambda _, rows: rows, num_cached_tokens=cached)


def whole(size: int) -> Sequence[Any]:
    """A prompt that needs a pass of its own."""
    return Sequence(tuple(range(size)), EXECUTOR, lambda _, rows: rows, single_pass=True)


def score(size: int, described: int, cached: int) -> Sequence[Any]:
    outputs = list(range(described))
    return Sequence(
        tuple(range(size)), EXECUTOR, lambda _, rows: rows, every_row=True, outputs=outputs, num_cached_tokens=cached
    )


def trace(size: int, cached: int, described: int | None = None) -> Sequence[Any]:
    """Of 31 layers, `described` of which are told; None: before its states are there."""
    found = Trace(31, states=None if described is None else [0] * 31)
    outputs = [0] * (described or 0)
    return Sequence(
        tuple(range(size)), EXECUTOR, lambda _, rows: rows, trace=found, outputs=outputs, num_cached_tokens=cached
    )


@pytest.mark.parametrize(
    ("lengths", "counts"),
    [
        ([1], {0: 1}),
        ([5], {0: 5}),
        ([500], {0: 100}),
        ([1, 1, 1], {0: 1, 1: 1, 2: 1}),
        ([500, 1, 30, 1], {1: 1, 3: 1}),  # clicks go before everything
        ([30, 30, 30], {0: 30, 1: 30, 2: 30}),
        ([30, 30, 60], {0: 30, 1: 30, 2: 40}),
        ([90, 90], {0: 90, 1: 10}),  # in order
        ([500, 20], {0: 80, 1: 20}),  # a short one does not wait for a long one's end
        ([500, 400, 20], {0: 80, 2: 20}),
        ([500, 90, 90], {0: 50, 1: 50}),  # nor the long one for all short ones
        ([400, 500], {0: 100}),
    ],
)
def test_prompts_share_a_step(lengths: list[int], counts: dict[int, int]) -> None:
    matched = [prompt(length) for length in lengths]
    assert {matched.index(sequence): count for sequence, count in schedule(matched, LIMITS)} == counts


def test_steps_in_the_background_are_shorter_unless_others_share_them() -> None:
    behind = [prompt(500), prompt(30)]
    for each in behind:
        each.background = True
    assert [count for _, count in schedule(behind, LIMITS)] == [17, 16]
    assert [count for _, count in schedule([*behind, prompt(500)], LIMITS)] == [70, 30]
    scored = score(90, 0, 0)
    scored.background = True
    assert schedule([scored], LIMITS) == [(scored, 33)]


def test_steps_in_the_background_that_others_end_are_as_long_as_any_until_they_did() -> None:
    limits = dataclasses.replace(LIMITS, background_tokens=10, interruptible=True)
    behind, scored = prompt(500), score(90, 0, 0)
    for each in (behind, scored):
        each.background = True
        allow(Interruption(), [each])
    assert schedule([behind], limits) == [(behind, 100)]
    assert schedule([scored], limits) == [(scored, 40)]
    sizes = []
    behind.interrupted = True
    for _ in range(6):
        allow(Interruption(), [behind])
        sizes += [count for _, count in schedule([behind], limits)]
    assert sizes == [10, 20, 40, 80, 100, 100]
    other = prompt(500)
    other.background = True
    behind.interrupted = True
    allow(Interruption(), [other, behind])
    assert sum(count for _, count in schedule([other, behind], limits)) == 10, "the one that was ended decides"


def test_what_was_interrupted_is_not_so_again_at_once() -> None:
    interruption, behind = Interruption(), [prompt(500), prompt(30)]
    for each in behind:
        each.background = True
    interruption.ask()
    assert allow(interruption, behind)
    assert not interruption.asked
    assert [each.interruption for each in behind] == [interruption, interruption]
    behind[1].interrupted = True
    assert not allow(interruption, behind)
    assert [each.interruption for each in behind] == [None, None]
    allow(interruption, behind)
    assert [each.interruption for each in behind] == [interruption, interruption]
    allow(interruption, [*behind, prompt(30)])
    assert [each.interruption for each in behind] == [None, None], "somebody waits for the third"


@pytest.mark.parametrize(
    ("matched", "counts"),
    [
        ([whole(500), prompt(1)], {0: 500}),  # in its turn it goes alone
        ([prompt(30), whole(500), prompt(20)], {0: 30, 2: 20}),
        ([prompt(30), whole(500), prompt(1)], {2: 1}),
        ([score(90, 0, 0)], {0: 40}),
        ([score(90, 80, 80)], {0: 10}),
        ([score(90, 80, 50)], {0: 30}),  # evicted tokens come first, by themselves
        ([score(90, 80, 20)], {0: 40}),
        ([trace(500, 10)], {0: 100}),
        ([trace(90, 10)], {0: 79}),  # all but the last token,
        ([trace(90, 89)], {0: 1}),  # which goes by itself,
        ([trace(90, 89, 0)], {0: 20}),  # and then its states
        ([trace(90, 89, 20)], {0: 11}),
    ],
)
def test_what_goes_alone(matched: list[Sequence[Any]], counts: dict[int, int]) -> None:
    assert {matched.index(sequence): count for sequence, count in schedule(matched, LIMITS)} == counts


def test_a_trace_that_needs_a_pass_of_its_own_gets_one() -> None:
    alone = trace(90, 0)
    alone.single_pass = True
    assert schedule([alone], LIMITS) == [(alone, 90)]


def test_traces_and_scores_share_no_step() -> None:
    click, another = prompt(1), prompt(1)
    waiting = [click, trace(90, 0), score(90, 0, 0), another]
    assert candidates(waiting, 16) == [click, another]
    assert candidates(waiting[1:], 16) == waiting[1:2]


def test_a_step_of_one_token_still_goes_on() -> None:
    matched = [prompt(5), prompt(5)]
    assert schedule(matched, Limits(1, 1)) == [(matched[0], 1)]
