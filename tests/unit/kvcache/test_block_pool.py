"""Blocks by number: who holds them, and which of their slots are taken."""

import pytest

from inference_server.kvcache.block_pool import BlockPool, CacheFull


def test_blocks_are_taken_in_order_until_none_is_left() -> None:
    pool = BlockPool([4, 2, 9], block_size=2)
    assert [pool.allocate() for _ in range(3)] == [4, 2, 9]
    assert (pool.total, pool.used, pool.free) == (3, 3, 0)
    with pytest.raises(CacheFull, match="all 3 blocks"):
        pool.allocate()


def test_a_block_is_free_once_its_last_holder_lets_go() -> None:
    pool = BlockPool([4], block_size=2)
    block = pool.allocate()
    pool.retain(block)
    assert (pool.references(block), pool.total_references) == (2, 2)
    pool.release(block)
    assert (pool.used, pool.total_references) == (1, 1)
    pool.release(block)
    assert (pool.used, pool.total_references) == (0, 0)
    assert pool.allocate() == block


def test_only_one_holder_goes_on_behind_what_is_claimed() -> None:
    pool = BlockPool([4], block_size=8)
    block = pool.allocate()
    assert pool.claim(block, 0, 3)
    assert not pool.claim(block, 0, 1)
    assert not pool.claim(block, 4, 1)
    assert pool.claim(block, 3, 2)
    assert not pool.claim(block, 3, 1)


def test_a_block_that_is_taken_again_is_empty() -> None:
    pool = BlockPool([4], block_size=8)
    assert pool.claim(pool.allocate(), 0, 8)
    pool.release(4)
    assert pool.claim(pool.allocate(), 0, 1)
