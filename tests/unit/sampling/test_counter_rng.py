"""Draws are Philox4x64-10 at their place, as the contract says, and evenly spread."""

import itertools

import pytest

from inference_server.generate_messages import MAX_SEED
from inference_server.sampling.counter_rng import uniform

M, W = (0xD2E7470EE14C6C93, 0xCA5A826395121157), (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
MASK = 2**64 - 1


def philox(counter: list[int], key: list[int]) -> int:
    """The first output word, from the paper's definition (Salmon et al., SC 2011)."""
    c, k = counter, key
    for _ in range(10):
        low, high = M[0] * c[0], M[1] * c[2]
        c = [high >> 64 ^ c[1] ^ k[0], high & MASK, low >> 64 ^ c[3] ^ k[1], low & MASK]
        k = [(each + more) & MASK for each, more in zip(k, W, strict=True)]
    return c[0]


@pytest.mark.parametrize(("seed", "index", "position"), [(0, 0, 0), (7, 3, 5), (MAX_SEED, 15, 131_071), (1, 0, 2**31)])
def test_a_draw_is_what_the_contract_says(seed: int, index: int, position: int) -> None:
    assert uniform(seed, index, position) == (philox([position + 1, index, 0, 0], [seed, 0]) >> 11) / 2**53


def test_places_draw_differently_and_evenly() -> None:
    draws = [uniform(*place) for place in itertools.product(range(10), range(10), range(100))]
    assert len(set(draws)) == len(draws)
    assert all(0 <= draw < 1 for draw in draws)
    counts = [sum(tenth / 10 <= draw < (tenth + 1) / 10 for draw in draws) for tenth in range(10)]
    assert sum((count - 1000) ** 2 / 1000 for count in counts) < 27.9  # chi-squared, 9 degrees of freedom, p = 0.001
