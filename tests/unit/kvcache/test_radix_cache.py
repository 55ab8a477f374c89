"""Prefix storage as plain tables: what is shared, copied, evicted and counted."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule

from inference_server.kvcache.block_pool import BlockPool, CacheFull
from inference_server.kvcache.radix_cache import BlockTable, RadixCache

PAGE = 4


@dataclass
class Shelf:
    """A tree over blocks that remember the tokens written to them."""

    blocks: int
    slots: dict[tuple[int, int], int] = field(default_factory=dict)
    copies: int = 0

    def __post_init__(self) -> None:
        self.pool = BlockPool(range(self.blocks), PAGE)
        self.tree = RadixCache(self.pool, self._copy)

    def _copy(self, source: int, target: int) -> None:
        self.copies += 1
        for slot in range(PAGE):
            if (source, slot) in self.slots:
                self.slots[target, slot] = self.slots[source, slot]

    def read(self, stored: BlockTable) -> list[int]:
        return [self.slots[stored.blocks[i // PAGE], i % PAGE] for i in range(len(stored))]

    def extend(self, stored: BlockTable, token_ids: Sequence[int]) -> None:
        self.tree.allocate(stored, len(token_ids))
        for i, token in enumerate(token_ids, len(stored)):
            self.slots[stored.blocks[i // PAGE], i % PAGE] = token
        self.tree.insert(stored, token_ids)

    def add(self, token_ids: Sequence[int]) -> BlockTable:
        stored = self.tree.match_prefix(token_ids)
        if len(stored) < len(token_ids):
            self.extend(stored, token_ids[len(stored) :])
        return stored


@pytest.mark.parametrize(
    ("first", "second", "hit", "blocks", "copies"),
    [
        ([1, 2, 3], [1, 2, 3], 3, 1, 0),  # the same
        ([1, 2, 3], [1, 2, 3, 4], 3, 1, 0),  # a click goes on in place
        ([1, 2, 3, 4], [1, 2, 3, 4, 5], 4, 2, 0),  # a full block is left alone
        ([1, 2, 3], [1, 2], 2, 1, 0),  # undo
        ([1, 2, 3], [1, 2, 9], 2, 2, 1),  # an edit copies the part of the block before it
        ([1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 9], 5, 3, 1),
        ([1, 2, 3, 4, 5, 6], [9, 2, 3, 4, 5, 6], 0, 4, 0),  # nothing in common
        ([1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 2, 3, 4, 5, 6], 6, 3, 0),
        ([1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 2, 3, 4, 0], 4, 4, 0),
    ],
)
def test_two_prompts(first: list[int], second: list[int], hit: int, blocks: int, copies: int) -> None:
    shelf = Shelf(8)
    shelf.tree.close(shelf.add(first))
    found = shelf.tree.match_prefix(second)
    assert len(found) == hit
    if hit < len(second):
        shelf.extend(found, second[hit:])
    assert shelf.read(found) == second
    assert (shelf.pool.used, shelf.copies) == (blocks, copies)
    again = shelf.tree.match_prefix(first)
    assert shelf.read(again) == first


def test_two_go_on_from_one_page() -> None:
    """The first goes on in place, the second on a copy, and both read what they wrote."""
    shelf = Shelf(8)
    one, two = shelf.add([1, 2]), shelf.add([1, 2])
    shelf.extend(one, [3])
    shelf.extend(two, [4, 5, 6])
    assert shelf.read(one) == [1, 2, 3]
    assert shelf.read(two) == [1, 2, 4, 5, 6]
    assert shelf.copies == 1


def test_the_same_tokens_computed_twice_are_kept_once() -> None:
    shelf = Shelf(8)
    one, two = shelf.tree.match_prefix([1, 2, 3, 4, 5]), shelf.tree.match_prefix([1, 2, 3, 4, 5])
    shelf.extend(one, [1, 2, 3, 4, 5])
    shelf.extend(two, [1, 2, 3, 4, 5])
    assert one.blocks == two.blocks
    assert shelf.pool.used == 2


def test_least_recently_used_leaf_goes_first() -> None:
    shelf = Shelf(4)
    shelf.tree.close(shelf.add([1, 1, 1, 1, 2]))  # two blocks
    shelf.tree.close(shelf.add([5]))
    shelf.tree.close(shelf.add([6]))
    shelf.tree.close(shelf.tree.match_prefix([1, 1, 1, 1, 2]))  # used again
    shelf.tree.close(shelf.add([7]))
    assert [len(shelf.tree.match_prefix([token])) for token in (5, 6, 7)] == [0, 1, 1]
    assert shelf.tree.evicted_blocks == 1


def test_a_stem_outlives_its_leaves() -> None:
    shelf = Shelf(3)
    stem = shelf.add([1, 1, 1, 1])
    shelf.tree.close(shelf.add([1, 1, 1, 1, 2]))
    shelf.tree.close(shelf.add([1, 1, 1, 1, 3]))
    shelf.tree.close(shelf.add([1, 1, 1, 1, 4]))
    assert shelf.read(stem) == [1, 1, 1, 1]
    assert [len(shelf.tree.match_prefix([1, 1, 1, 1, last])) for last in (2, 3, 4)] == [4, 5, 5]


def test_what_is_in_use_is_never_evicted() -> None:
    shelf = Shelf(3)
    used = shelf.add([1, 2, 3, 4, 5, 6])
    other = shelf.add([7, 8, 9])
    with pytest.raises(CacheFull):
        shelf.tree.allocate(other, 2)
    assert shelf.read(used) == [1, 2, 3, 4, 5, 6]
    assert shelf.read(other) == [7, 8, 9]
    shelf.tree.close(used)
    shelf.extend(other, [10, 11])
    assert shelf.read(other) == [7, 8, 9, 10, 11]


def test_evicting_looks_at_no_page_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf(501)
    for first in range(500):
        shelf.add([first])  # and never closed
    shelf.tree.close(shelf.add([500]))
    asked: list[int] = []
    monkeypatch.setattr(shelf.pool, "references", asked.append)
    shelf.tree.allocate(shelf.tree.match_prefix([501]), 1)
    assert shelf.tree.evicted_blocks == 1
    assert len(asked) <= 1


def test_who_lets_go_last_is_evicted_last() -> None:
    shelf = Shelf(3)
    first, second, third = (shelf.add([token]) for token in (1, 2, 3))
    for stored in (second, third, first):
        shelf.tree.close(stored)
    shelf.tree.close(shelf.add([4]))
    shelf.tree.close(shelf.add([5]))
    assert [len(shelf.tree.match_prefix([token])) for token in (1, 2, 3, 4, 5)] == [1, 0, 0, 1, 1]


def test_alternatives_are_held_until_closed() -> None:
    shelf = Shelf(4)
    stored = shelf.add([1])
    shelf.tree.allocate_alternatives(stored, range(6))
    assert shelf.pool.used == 3
    shelf.tree.allocate_alternatives(stored, range(2))
    assert shelf.pool.used == 2
    fork = shelf.tree.fork(stored)
    shelf.tree.close(stored)
    assert shelf.pool.used == 1
    shelf.tree.close(fork)
    shelf.tree.clear()
    assert shelf.pool.used == 0


class Clients(RuleBasedStateMachine):
    """Random appends, undos, edits, abandoned work and evictions; every prompt reads back as written."""

    handles = Bundle("handles")
    tokens = st.lists(st.integers(0, 2), max_size=11)

    def __init__(self) -> None:
        super().__init__()
        self.shelf = Shelf(24)
        self.live: list[tuple[BlockTable, list[int]]] = []

    def _extend(self, stored: BlockTable, more: list[int]) -> bool:
        before = self.shelf.read(stored)
        try:
            self.shelf.extend(stored, more)
        except CacheFull:
            assert self.shelf.read(stored) == before
            return False
        return True

    @rule(target=handles, prompt=tokens)
    def start(self, prompt: list[int]) -> BlockTable:
        stored = self.shelf.tree.match_prefix(prompt)
        assert list(stored.tokens) == prompt[: len(stored)]
        rest = prompt[len(stored) :]
        done = not rest or self._extend(stored, rest)
        self.live.append((stored, prompt if done else list(stored.tokens)))
        return stored

    @rule(stored=handles, more=tokens.filter(bool))
    def append(self, stored: BlockTable, more: list[int]) -> None:
        if self._extend(stored, more):
            next(prompt for held, prompt in self.live if held is stored).extend(more)

    @rule(stored=handles, count=st.integers(1, 9))
    def abandon(self, stored: BlockTable, count: int) -> None:
        """Room is reserved, and the work that wanted it fails."""
        try:
            self.shelf.tree.allocate(stored, count)
        except CacheFull:
            return
        self._forget(stored)

    @rule(stored=handles, count=st.integers(1, 9))
    def fail(self, stored: BlockTable, count: int) -> None:
        """Room is reserved, the work fails, and the prompt is used again."""
        with contextlib.suppress(CacheFull):
            self.shelf.tree.allocate(stored, count)

    @rule(stored=handles, count=st.integers(1, 9))
    def look_ahead(self, stored: BlockTable, count: int) -> None:
        with_room = self.shelf.pool.free
        try:
            self.shelf.tree.allocate_alternatives(stored, range(count))
        except CacheFull:
            assert with_room < 3

    @rule(stored=consumes(handles))
    def stop(self, stored: BlockTable) -> None:
        self._forget(stored)

    @precondition(lambda self: not self.live)
    @rule()
    def clear(self) -> None:
        self.shelf.tree.clear()
        assert self.shelf.pool.used == 0

    def _forget(self, stored: BlockTable) -> None:
        self.live = [pair for pair in self.live if pair[0] is not stored]
        self.shelf.tree.close(stored)
        self.live.append((stored, []))

    @invariant()
    def everyone_reads_what_they_wrote(self) -> None:
        for stored, prompt in self.live:
            assert self.shelf.read(stored) == prompt

    @invariant()
    def what_only_the_tree_holds_waits_to_be_evicted_leaves_first(self) -> None:
        tree, pool = self.shelf.tree, self.shelf.pool
        idle = list(tree._idle)
        assert all(pool.references(node.block) == 1 for node in idle)
        used = {node for stored, _ in self.live for node in stored.nodes if node is not None}
        assert len(idle) == tree.blocks - len(used)
        assert all(node.parent in used or node.parent not in idle[: idle.index(node)] for node in idle)

    @invariant()
    def every_page_is_accounted_for(self) -> None:
        held = {block for stored, _ in self.live for block in (*stored.blocks, *stored.alternative_blocks)}
        assert self.shelf.pool.used <= self.shelf.tree.blocks + len(held)
        assert self.shelf.pool.used >= self.shelf.tree.blocks
        assert self.shelf.tree.stray_holds == 0
        assert self.shelf.tree.open_prompts <= len(self.live)

    def teardown(self) -> None:
        for stored, _ in self.live:
            self.shelf.tree.close(stored)
        assert self.shelf.pool.used == self.shelf.tree.blocks == self.shelf.pool.total_references
        assert self.shelf.tree.open_prompts == 0
        self.shelf.tree.clear()
        assert self.shelf.pool.used == 0


TestClients = Clients.TestCase
TestClients.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
