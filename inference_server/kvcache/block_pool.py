"""Numbered pages of token slots: who holds them and which slots are taken. Knows no torch, nor what a page stores."""

from collections.abc import Sequence


class CacheFull(Exception):
    """No page is free and none may be evicted: everything held is in use."""


class BlockPool:
    """Pages of `page_tokens` slots each, known by their numbers, with reference counts.

    A slot is claimed once and never changes while its page lives, so any number of holders may read the slots claimed
    before they came, and one of them may go on in place as long as nobody has claimed the next slot.
    """

    def __init__(self, numbers: Sequence[int], page_tokens: int) -> None:
        self.page_tokens = page_tokens
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

    def take(self) -> int:
        """An empty page, referenced once. Raises CacheFull."""
        if not self._free:
            raise CacheFull(f"all {self.total} pages are in use")
        page = self._free.pop()
        self._references[page] = 1
        self._claimed[page] = 0
        return page

    def hold(self, page: int) -> None:
        self._references[page] += 1

    def release(self, page: int) -> None:
        """Gives one reference back; the last one frees the page."""
        self._references[page] -= 1
        if self._references[page] == 0:
            self._free.append(page)

    @property
    def holds(self) -> int:
        """References to all pages."""
        return sum(self._references.values())

    def references(self, page: int) -> int:
        return self._references[page]

    def claim(self, page: int, start: int, count: int) -> bool:
        """Claims `count` slots from `start` if `start` is the page's first unclaimed one; says whether it did."""
        if self._claimed[page] != start:
            return False
        self._claimed[page] = start + count
        return True
