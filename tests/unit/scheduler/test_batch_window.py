"""How long a free worker waits for those who were answered together, as plain numbers."""

import pytest

from inference_server.scheduler.batch_window import MOST_S, SHARE, BatchWindow

STEP_S = 0.1


def after(count: int, waiting: int = 0, spent_s: float = STEP_S, batch_size: int = 32) -> BatchWindow:
    """At 0 seconds, a step has ended that answered `count`."""
    gathering = BatchWindow(batch_size)
    gathering.answered(count, waiting, spent_s, 0.0)
    return gathering


def test_nobody_is_expected_before_the_first_step() -> None:
    assert BatchWindow(32).wait_s(1, 0, 0.0) == 0


def test_a_lone_caller_never_waits() -> None:
    assert after(1).wait_s(1, 0, 0.0) == 0


def test_the_first_back_wait_until_all_are_there_or_a_share_of_the_step_is_over() -> None:
    gathering = after(16)
    for waiting in (1, 8, 15):
        assert gathering.wait_s(waiting, 0, 0.0) == pytest.approx(SHARE * STEP_S)
        assert gathering.wait_s(waiting, 0, 0.6 * SHARE * STEP_S) == pytest.approx(0.4 * SHARE * STEP_S)
        assert gathering.wait_s(waiting, 0, SHARE * STEP_S) == 0
    assert gathering.wait_s(16, 0, 0.0) == 0


def test_who_came_during_the_step_waits_for_who_was_in_it() -> None:
    gathering = after(15, waiting=1)
    assert gathering.wait_s(1, 0, 0.0) > 0
    assert gathering.wait_s(15, 0, 0.0) > 0
    assert gathering.wait_s(16, 0, 0.0) == 0


def test_a_full_batch_waits_for_nobody() -> None:
    assert after(3, waiting=4, batch_size=4).wait_s(4, 0, 0.0) == 0


def test_where_nobody_waits_or_others_have_work_there_is_no_time_to_waste() -> None:
    assert after(16).wait_s(0, 0, 0.0) == 0
    assert after(16).wait_s(3, 1, 0.0) == 0


def test_a_long_step_is_no_reason_to_wait_long() -> None:
    assert after(2, spent_s=60.0).wait_s(1, 0, 0.0) == MOST_S
