"""A kernel that can't be had, or gives something else, is left out and the log says why."""

from collections.abc import Callable

import pytest
import structlog

from inference_server.sampling.compiled import unless_it_differs


def missing() -> Callable[[int], int]:
    raise ModuleNotFoundError("No module named 'numba'")


def doubled() -> Callable[[int], int]:
    return lambda number: 2 * number


def agree(kernel: Callable[[int], int]) -> bool:
    return kernel(3) == 6


def test_one_that_agrees_is_used() -> None:
    with structlog.testing.capture_logs() as said:
        kernel = unless_it_differs("doubling", doubled, agree)
    assert kernel is not None
    assert (kernel(4), said) == (8, [])


@pytest.mark.parametrize(
    ("make", "reason"),
    [(missing, "No module named 'numba'"), (lambda: lambda number: number + 2, "results differ from numpy's")],
)
def test_one_that_fails_or_differs_is_not(make: Callable[[], Callable[[int], int]], reason: str) -> None:
    with structlog.testing.capture_logs() as said:
        assert unless_it_differs("doubling", make, agree) is None
    (entry,) = said
    assert (entry["kernel"], entry["reason"]) == ("doubling", reason)
