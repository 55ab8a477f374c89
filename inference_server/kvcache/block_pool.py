"""KV blocks by number: which are free, who refers to them, and which of their slots are taken."""

from collections.abc import Sequence


class CacheFull(Exception):
    """Every block is in use; none is free or can be evicted."""


class BlockPool:
    """Reference-counted blocks of `block_size` slots each.

    A slot is claimed once and does not change while its block is in use. So any number of sequences may read the slots
    claimed before they came, and one of them may go on in the same block as long as the next slot is unclaimed.
    """

    def __init__(self, numbers: Sequence[int], block_size: int) -> None:
        self.block_size = block_size
        self.total = len(numbers)
        self._free = list(reversed(numbers))
        self._references = dict.fromkeys(numbers, 0)
        self._claimed = dict.fromkeys(numbers, 0)

    @property
    def used(self) -> int:
        return self.total - len(self._free)

    @property
    def free(self) -> int:
        return len(self._free)

    def allocate(self) -> int:
        """An empty block with one reference. Raises CacheFull."""
        if not self._free:
            raise CacheFull(f"all {self.total} blocks are in use")
        block = self._free.pop()
        self._references[block] = 1
        self._claimed[block] = 0
        return block

    def retain(self, block: int) -> None:
        """Adds a reference."""
        self._references[block] += 1

    def release(self, block: int) -> None:
        """Removes a reference; the last one frees the block."""
        self._references[block] -= 1
        if self._references[block] == 0:
            self._free.append(block)

    @property
    def total_references(self) -> int:
        """To all blocks."""
        return sum(self._references.values())

    def references(self, block: int) -> int:
        return self._references[block]

    def claim(self, block: int, start: int, count: int) -> bool:
        """Claims `count` slots from `start` if that is the block's first unclaimed slot; says whether it did."""
        if self._claimed[block] != start:
            return False
        self._claimed[block] = start + count
        return True
