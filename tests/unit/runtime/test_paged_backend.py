"""Sequences over blocks: what the cache has is not computed again, and what does not fit it takes a pass of its own.

Its numbers: tests/models/test_paths.py and test_executor_machine.py.
"""

from typing import Any

import pytest
import torch
from models.shapes import build
from torch import Tensor
from workers import FakeExecutor

from inference_server.runtime.capability import build_runner
from inference_server.runtime.paged_backend import PagedBackend
from inference_server.runtime.whole_pass import WholePass
from inference_server.sequence import MAX_RECOMPUTED, Sequence

CONTEXT = 256
Received = list[tuple[int, Tensor | None]]


@pytest.fixture
def backend() -> PagedBackend:
    network = build("llama")
    runner = build_runner(network, 1 << 17, compiled=False)
    assert runner is not None
    one = WholePass(network, torch.device("cpu"), selects_rows=True, context=runner.uncached)
    return PagedBackend(runner, one, CONTEXT)


def asking(ids: tuple[int, ...]) -> Sequence[Any]:
    return Sequence(ids, FakeExecutor("any", list), lambda _, rows: rows)


def step(backend: PagedBackend, sequence: Sequence[Any], count: int) -> Received:
    """Matches and computes so many of its tokens; what was received."""
    received: Received = []
    backend.match(sequence)
    backend.execute([(sequence, count)], lambda _, computed, rows: received.append((computed, rows)))
    backend.release()
    assert backend.stats.open_prompts == 0
    return received


def test_what_is_cached_is_not_computed_again(backend: PagedBackend) -> None:
    ids = tuple(range(3, 23))
    assert step(backend, asking(ids), 12) == [(12, None)]
    again = asking(ids)
    backend.match(again)
    assert (again.num_cached_tokens, again.single_pass) == (12, False)
    ((computed, rows),) = step(backend, again, 8)
    assert computed == 8
    with torch.inference_mode():
        expected = build("llama")(torch.tensor([ids])).logits[0, -1:]
    torch.testing.assert_close(rows, expected, atol=1e-4, rtol=1e-4)
    whole = asking(ids)
    backend.match(whole)
    assert whole.num_cached_tokens == len(ids) - 1  # the last token's logits are computed again
    backend.release()


def test_what_does_not_fit_takes_a_pass_of_its_own(backend: PagedBackend) -> None:
    ids = tuple(5 + at % 60 for at in range(backend.runner.capacity + 1))
    sequence = asking(ids)
    ((computed, rows),) = step(backend, sequence, 1)
    assert sequence.single_pass
    assert computed == len(ids)
    assert rows is not None


def test_so_does_what_is_evicted_time_and_again(backend: PagedBackend) -> None:
    sequence = asking((1, 2, 3))
    sequence.num_computed_tokens = MAX_RECOMPUTED * 3 + 1
    backend.match(sequence)
    assert sequence.single_pass


def test_a_prefetched_token_is_adopted_once_it_is_asked_for(backend: PagedBackend) -> None:
    ids = (3, 4, 5, 6)
    step(backend, asking(ids), len(ids))
    backend.expect(ids)
    assert backend.next_to_prefetch() == ids
    kept: dict[int, Tensor] = {}
    assert backend.prefetch(ids, [7, 8], kept.__setitem__)
    assert set(kept) == {7, 8}
    assert backend.adopt((*ids, 8))
    clicked = asking((*ids, 8, 9))
    backend.match(clicked)
    assert clicked.num_cached_tokens == len(ids) + 1
    backend.release()
