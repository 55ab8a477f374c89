"""Which answered prompts get a prefetch of their likely next tokens, and which have one. Knows no tensors."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from inference_server.sequence import Ids

H = TypeVar("H")

MAX_PROMPTS = 16


@dataclass(frozen=True, slots=True)
class Prefetched(Generic[H]):
    """A prompt's likely next tokens, and the handle on what was computed of them."""

    choices: Sequence[int]
    handle: H


class Prefetcher(Generic[H]):
    """The most recently answered prompts. Handles of those it drops are returned, for the caller to close."""

    def __init__(self) -> None:
        self._prompts: OrderedDict[Ids, Prefetched[H] | None] = OrderedDict()  # None: still to do

    def __len__(self) -> int:
        return len(self._prompts)

    def expect(self, ids: Ids) -> list[H]:
        """A prompt was answered: it comes first. Those still to do that it extends or shortens are dropped."""
        for other in [other for other, found in self._prompts.items() if found is None]:
            shorter = min(len(other), len(ids))
            if other[:shorter] == ids[:shorter]:
                del self._prompts[other]
        self._prompts.setdefault(ids, None)
        self._prompts.move_to_end(ids)
        dropped = [self._prompts.popitem(last=False)[1] for _ in range(len(self._prompts) - MAX_PROMPTS)]
        return [found.handle for found in dropped if found is not None]

    def next(self) -> Ids | None:
        """Removes the newest prompt that is still to do."""
        ids = next((ids for ids, found in reversed(self._prompts.items()) if found is None), None)
        if ids is not None:
            del self._prompts[ids]
        return ids

    def ready(self, ids: Ids, choices: Sequence[int], handle: H) -> None:
        """A prompt's next tokens were computed; it is now the newest."""
        self._prompts[ids] = Prefetched(choices, handle)

    def behind(self, ids: Ids) -> H | None:
        """The handle on a prompt's last token, if it was prefetched."""
        found = self._prompts.get(ids[:-1])
        return found.handle if found is not None and ids[-1] in found.choices else None

    def clear(self) -> list[H]:
        """Drops everything."""
        handles = [found.handle for found in self._prompts.values() if found is not None]
        self._prompts.clear()
        return handles
