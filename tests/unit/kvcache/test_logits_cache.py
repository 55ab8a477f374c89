"""What is held, what it costs, and what goes first."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_server.kvcache.logits_cache import LogitsCache
from inference_server.stats import LogitsCacheStats


@dataclass(frozen=True)
class Value:
    """A value of a size."""

    nbytes: int


def cost_of(token_ids: tuple[int, ...], nbytes: int) -> int:
    """What an empty cache says such an entry costs."""
    cache = LogitsCache[Value](1 << 40)
    cache.put("any", token_ids, Value(nbytes))
    return cache.used_bytes


ONE = cost_of((1,), 100)


def test_only_the_same_ids_of_the_same_owner_are_found() -> None:
    cache = LogitsCache[Value](10 * ONE)
    value = Value(100)
    cache.put("a", [1, 2], value)
    assert cache.get("a", (1, 2)) is value
    for owner, token_ids in [("b", (1, 2)), ("a", (1,)), ("a", (1, 2, 3)), ("a", (2, 1)), ("a", (513,)), ("a", ())]:
        assert cache.get(owner, token_ids) is None
    assert (cache.hits, cache.misses, cache.evictions) == (1, 6, 0)


def test_a_miss_that_is_looked_up_again_counts_once() -> None:
    cache = LogitsCache[Value](10 * ONE)
    assert cache.recall("a", (1,)) is None
    assert cache.get("a", (1,)) is None
    value = Value(100)
    cache.put("a", (1,), value)
    assert cache.recall("a", (1,)) is value
    assert (cache.hits, cache.misses) == (1, 1)


def test_the_least_recently_used_goes_first() -> None:
    cache = LogitsCache[Value](3 * ONE)
    for i in (1, 2, 3):
        cache.put("a", (i,), Value(100))
    cache.get("a", (1,))
    cache.put("a", (4,), Value(100))
    assert [i for i in (1, 2, 3, 4) if cache.get("a", (i,))] == [1, 3, 4]
    assert cache.evictions == 1


def test_one_large_value_displaces_several() -> None:
    cache = LogitsCache[Value](4 * ONE)
    for i in (1, 2, 3, 4):
        cache.put("a", (i,), Value(100))
    cache.put("b", (9,), Value(100 + 2 * ONE))
    assert len(cache) == 2
    assert cache.get("a", (4,))
    assert cache.get("b", (9,))
    assert cache.used_bytes == 4 * ONE


@pytest.mark.parametrize("limit", [0, 1, ONE - 1])
def test_what_does_not_fit_is_not_kept_and_displaces_nothing(limit: int) -> None:
    cache = LogitsCache[Value](limit)
    cache.put("a", (1,), Value(100))
    assert (len(cache), cache.used_bytes, cache.evictions) == (0, 0, 0)
    small = LogitsCache[Value](ONE)
    small.put("a", (1,), Value(100))
    small.put("a", (2,), Value(101))
    assert small.get("a", (1,))


def test_a_value_put_again_is_replaced() -> None:
    cache = LogitsCache[Value](2 * ONE)
    cache.put("a", (1,), Value(100))
    newer = Value(90)
    cache.put("a", (1,), newer)
    assert cache.get("a", (1,)) is newer
    assert (len(cache), cache.used_bytes) == (1, ONE - 10)
    cache.put("a", (1,), Value(10 * ONE))  # too large: the old one is no longer true, and goes
    assert cache.get("a", (1,)) is None
    assert cache.used_bytes == 0


def test_long_prompts_cost_more() -> None:
    assert cost_of(tuple(range(1000)), 100) == ONE + 4 * 999


def test_what_is_counted() -> None:
    cache = LogitsCache[Value](ONE)
    cache.put("a", (1,), Value(100))
    cache.put("a", (2,), Value(100))
    assert [cache.get("a", ids) is not None for ids in ((1,), (2,), (2,))] == [False, True, True]
    assert cache.get("a", (2,), counted=False)
    assert not cache.get("a", (1,), counted=False)
    assert cache.stats == LogitsCacheStats(
        hits=2, misses=1, evictions=1, entries=1, bytes=ONE, limit_bytes=ONE, stray_bytes=0
    )
    cache.used_bytes += 7
    assert cache.stats.stray_bytes == 7


@given(
    st.integers(0, 600),
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 6), st.integers(0, 300)), max_size=60),
)
def test_it_never_holds_more_than_its_limit_and_counts_exactly(limit: int, puts: list[tuple[str, int, int]]) -> None:
    cache = LogitsCache[Value](limit)
    latest: dict[tuple[str, int], int] = {}
    for owner, i, nbytes in puts:
        cache.put(owner, (i,), Value(nbytes))
        latest[owner, i] = nbytes
        assert cache.used_bytes <= limit
        assert cache.stats.stray_bytes == 0
    held = {(owner, i): value for owner in "ab" for i in range(1, 7) if (value := cache.get(owner, (i,)))}
    assert len(cache) == len(held)
    assert cache.used_bytes == sum(cost_of((i,), value.nbytes) for (_, i), value in held.items())
    assert all(latest[key] == value.nbytes for key, value in held.items())
