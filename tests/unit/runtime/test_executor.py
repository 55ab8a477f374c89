"""What a step computes of the prompts that wait, as a table."""

import pytest

from inference_server.attention.batch import Segment
from inference_server.kvcache.radix_cache import BlockTable
from inference_server.runtime.executor import choose


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
def test_what_a_step_computes(lengths: list[int], counts: dict[int, int]) -> None:
    parts = [(at, Segment(BlockTable(), range(length))) for at, length in enumerate(lengths)]
    assert {at: len(part.token_ids) for at, part in choose(parts, 100)} == counts


def test_a_step_of_one_token_still_goes_on() -> None:
    parts = [(at, Segment(BlockTable(), range(5))) for at in range(2)]
    assert [(at, len(part.token_ids)) for at, part in choose(parts, 1)] == [(0, 1)]
