"""Work in slices: it runs only while its owner waits, and ends where nobody wants it."""

import threading
import time

import pytest

from inference_server.host.stepwise import PART, Stepwise, parts, pause

PATIENCE_S = 20.0


class Counting:
    """Counts to a number, one a slice; remembers which threads it ran on."""

    def __init__(self, goal: int) -> None:
        self.count, self.goal = 0, goal
        self.threads: set[threading.Thread] = set()
        self.ended = threading.Event()

    def __call__(self) -> int:
        self.threads.add(threading.current_thread())
        try:
            while self.count < self.goal:
                self.count += 1
                pause()
        finally:
            self.ended.set()
        return self.count


def test_each_step_is_a_slice() -> None:
    work = Counting(3)
    steps = Stepwise(work)
    assert work.count == 0
    assert [(steps.step(0.0), work.count) for _ in range(4)] == [(None, 1), (None, 2), (None, 3), (3, 3)]
    (thread,) = work.threads
    assert thread is not threading.current_thread()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()


def test_a_long_slice_has_several_pauses() -> None:
    assert Stepwise(Counting(3)).step(PATIENCE_S) == 3


def test_between_steps_nothing_runs() -> None:
    work = Counting(10)
    steps = Stepwise(work)
    steps.step(0.0)
    time.sleep(0.02)
    assert work.count == 1
    steps.close()


def test_an_error_is_the_owners() -> None:
    def broken() -> None:
        pause()
        raise ValueError("broken")

    steps = Stepwise(broken)
    assert steps.step(0.0) is None
    with pytest.raises(ValueError, match="broken"):
        steps.step(0.0)


@pytest.mark.parametrize("before", [0, 2])
def test_closed_work_ends_at_its_next_pause(before: int) -> None:
    work = Counting(10)
    steps = Stepwise(work)
    for _ in range(before):
        steps.step(0.0)
    steps.close()
    assert steps.step(0.0) is None
    assert work.count == before
    assert before == 0 or work.ended.wait(PATIENCE_S)


def test_work_closed_during_a_step_ends_it() -> None:
    begun = threading.Event()

    def endless() -> None:
        while True:
            begun.set()
            pause()

    steps = Stepwise(endless)

    def close() -> None:
        begun.wait(PATIENCE_S)
        steps.close()

    closer = threading.Thread(target=close)
    closer.start()
    assert steps.step(PATIENCE_S) is None
    closer.join()


def test_elsewhere_a_pause_does_nothing() -> None:
    pause()


def test_rows_are_divided_where_a_slice_may_end() -> None:
    found = list[slice]()
    steps = Stepwise(lambda: found.extend(parts(2 * PART + 1)))
    assert [steps.step(0.0) for _ in range(3)] == [None] * 3
    steps.step(0.0)
    assert found == [slice(0, PART), slice(PART, 2 * PART), slice(2 * PART, 2 * PART + 1)]


@pytest.mark.parametrize(("rows", "whole"), [(0, []), (1, [slice(0, 1)]), (5 * PART, [slice(0, 5 * PART)])])
def test_elsewhere_they_are_not(rows: int, whole: list[slice]) -> None:
    assert list(parts(rows)) == whole
