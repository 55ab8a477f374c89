"""Sequences without blocks: each in one pass, nothing cached and nothing prefetched. With caches: tests/models."""

from typing import Any

import pytest
import torch
from models.shapes import VOCABULARY, build
from torch import Tensor
from workers import FakeExecutor

from inference_server.runtime.backends import WholePassBackend
from inference_server.runtime.whole_pass import WholePass
from inference_server.sequence import Sequence

IDS = (3, 1, 4, 1, 5)


@pytest.fixture(scope="module")
def network() -> Any:
    return build("bloom")


@pytest.mark.parametrize("every_row", [False, True])
def test_a_sequence_goes_in_one_pass(network: Any, every_row: bool) -> None:
    one = WholePass(network, torch.device("cpu"), selects_rows=True, vocab_size=VOCABULARY)
    backend = WholePassBackend(one)
    sequence = Sequence(IDS, FakeExecutor("any", list), lambda _, rows: rows, every_row=every_row)
    received: list[tuple[int, Tensor | None]] = []
    backend.match(sequence)
    assert (sequence.num_cached_tokens, sequence.single_pass) == (0, True)
    backend.execute([(sequence, 1)], lambda _, computed, rows: received.append((computed, rows)))
    ((computed, rows),) = received
    assert computed == len(IDS)
    assert rows is not None
    with torch.inference_mode():
        expected = network(torch.tensor([IDS])).logits[0]
    torch.testing.assert_close(rows, expected if every_row else expected[-1:])


def test_nothing_is_cached_or_prefetched(network: Any) -> None:
    backend = WholePassBackend(WholePass(network, torch.device("cpu"), selects_rows=True, vocab_size=VOCABULARY))
    backend.expect(IDS)
    assert backend.next_to_prefetch() is None
    assert not backend.prefetch(IDS, [1, 2], lambda *_: None)
    assert not backend.adopt(IDS)
    assert backend.stats is None
    assert not backend.batched
