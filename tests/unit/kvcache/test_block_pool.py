"""Pages by number: who holds them, and which of their slots are taken."""

import pytest

from inference_server.kvcache.block_pool import BlockPool, CacheFull


def test_pages_are_taken_in_order_until_none_is_left() -> None:
    pool = BlockPool([4, 2, 9], page_tokens=2)
    assert [pool.take() for _ in range(3)] == [4, 2, 9]
    assert (pool.total, pool.used, pool.free) == (3, 3, 0)
    with pytest.raises(CacheFull, match="all 3 pages"):
        pool.take()


def test_a_page_is_free_once_its_last_holder_lets_go() -> None:
    pool = BlockPool([4], page_tokens=2)
    page = pool.take()
    pool.hold(page)
    assert (pool.references(page), pool.holds) == (2, 2)
    pool.release(page)
    assert (pool.used, pool.holds) == (1, 1)
    pool.release(page)
    assert (pool.used, pool.holds) == (0, 0)
    assert pool.take() == page


def test_only_one_holder_goes_on_behind_what_is_claimed() -> None:
    pool = BlockPool([4], page_tokens=8)
    page = pool.take()
    assert pool.claim(page, 0, 3)
    assert not pool.claim(page, 0, 1)
    assert not pool.claim(page, 4, 1)
    assert pool.claim(page, 3, 2)
    assert not pool.claim(page, 3, 1)


def test_a_page_that_is_taken_again_is_empty() -> None:
    pool = BlockPool([4], page_tokens=8)
    assert pool.claim(pool.take(), 0, 8)
    pool.release(4)
    assert pool.claim(pool.take(), 0, 1)
