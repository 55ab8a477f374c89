"""One forward pass over new tokens of many prompts, laid out as flat tables. Knows prompts and pages, not models."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inference_server.kvcache.radix_cache import BlockTable

CPU = torch.device("cpu")
ABREAST = 4  # new tokens of a prompt that walk its pages together


@dataclass(frozen=True, slots=True)
class Segment:
    """New tokens of one prompt: the ones that follow what is stored, or alternatives for the next one.

    Following tokens are stored; the answer holds the logits after the last of them (`every_row`: after each).
    Alternatives each see the stored tokens and themselves only; the answer holds the logits after each. With `keep`
    their keys and values are kept beside the prompt, and one of them may be adopted later.
    """

    stored: BlockTable
    token_ids: Sequence[int]
    alternatives: bool = False
    keep: bool = False
    every_row: bool = False

    @property
    def rows(self) -> int:
        """How many rows of logits the segment gets."""
        return len(self.token_ids) if self.alternatives or self.every_row else 1


@dataclass(frozen=True, slots=True)
class Span:
    """A segment's place in the packed pass. `prefix` tokens in `pages` come before it, its own follow them there."""

    start: int
    count: int
    prefix: int
    pages: Tensor
    alternatives: bool

    def causal(self, window: int | None) -> bool:
        """Whether each new token sees all that came before it, and all of that is new."""
        return self.prefix == 0 and not self.alternatives and (window is None or self.count <= window)

    def seen(self, window: int | None) -> Tensor | None:
        """Which keys, the prefix and then the new ones, each new token sees (count, prefix + count); None: all."""
        if self.count == 1 and (window is None or self.prefix < window):
            return None
        if self.alternatives:
            own, here = torch.eye(self.count, dtype=torch.bool), torch.full((self.count, 1), self.prefix)
        else:
            own, here = (
                torch.ones(self.count, self.count, dtype=torch.bool).tril(),
                self.prefix + torch.arange(self.count)[:, None],
            )
        seen = torch.cat((torch.ones(self.count, self.prefix, dtype=torch.bool), own), dim=1)
        if window is not None:
            places = torch.arange(self.prefix + self.count)[None]
            if self.alternatives:
                places = places.clamp(max=self.prefix)
            seen &= places > here - window
        return seen


class Batch:
    """The tables of a pass, as tensors on `device`; the prompts must have room reserved for what they store."""

    def __init__(self, segments: Sequence[Segment], page_tokens: int, device: torch.device = CPU) -> None:
        self.segments = segments
        self.device = device
        self._page_tokens = page_tokens
        self.token_ids = list(chain.from_iterable(segment.token_ids for segment in segments))
        self.positions: list[int] = []
        self.logit_rows: list[int] = []
        self._kept: list[int] = []
        self._places: list[int] = []
        start = 0
        for segment in segments:
            prefix, count = len(segment.stored), len(segment.token_ids)
            steps = range(count)
            self.positions.extend([prefix] * count if segment.alternatives else range(prefix, prefix + count))
            self.logit_rows.extend(range(start + count - segment.rows, start + count))
            if segment.keep or not segment.alternatives:
                pages, first = (segment.stored.extras, 0) if segment.alternatives else (segment.stored.pages, prefix)
                self._kept.extend(range(start, start + count))
                self._places.extend(
                    pages[(first + i) // page_tokens] * page_tokens + (first + i) % page_tokens for i in steps
                )
            start += count
        self.masks: dict[tuple[int, int | None], Tensor | None] = {}

    def __len__(self) -> int:
        return len(self.token_ids)

    @cached_property
    def spans(self) -> list[Span]:
        spans, start = [], 0
        for segment in self.segments:
            prefix = len(segment.stored)
            stored = prefix if segment.alternatives else prefix + len(segment.token_ids)
            pages = self.tensor(segment.stored.pages[: -(-stored // self._page_tokens)])
            spans.append(Span(start, len(segment.token_ids), prefix, pages, segment.alternatives))
            start += len(segment.token_ids)
        return spans

    @cached_property
    def kept_rows(self) -> Tensor | None:
        """Which new tokens are stored (int64); None: all of them."""
        return None if len(self._kept) == len(self) else self.tensor(self._kept)

    @cached_property
    def kept_pages(self) -> Tensor:
        return self.tensor([place // self._page_tokens for place in self._places])

    @cached_property
    def kept_slots(self) -> Tensor:
        return self.tensor([place % self._page_tokens for place in self._places])

    def mask(self, index: int, window: int | None, dtype: torch.dtype) -> Tensor | None:
        """What is added to a span's scores: nothing or minus infinity; made once for all layers. None: nothing."""
        key = (index, window)
        if key not in self.masks:
            seen = self.spans[index].seen(window)
            self.masks[key] = None if seen is None else additive(seen, dtype).to(self.device)
        return self.masks[key]

    def tensor(self, numbers: Sequence[int]) -> Tensor:
        """Whole numbers where the pass computes."""
        return torch.tensor(numbers, dtype=torch.int64, device=self.device)

    @cached_property
    def rows(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """For each new token, where its prompt's pages begin in the second table, its position, and its slot or -1."""
        table, pages, kept = list[tuple[int, int, int]](), list[int](), dict(zip(self._kept, self._places, strict=True))
        for segment in self.segments:
            count = 0 if segment.alternatives else len(segment.token_ids)
            for row in range(len(table), len(table) + len(segment.token_ids)):
                table.append((len(pages), self.positions[row], kept.get(row, -1)))
            pages.extend(segment.stored.pages[: -(-(len(segment.stored) + count) // self._page_tokens)])
        return np.array(table, dtype=np.int64), np.array(pages or [0], dtype=np.int64)

    @cached_property
    def blocks(self) -> NDArray[np.int64]:
        """At most ABREAST new tokens of one prompt at a time: the first of them, how many, and 1 for alternatives."""
        blocks, start = list[tuple[int, int, int]](), 0
        for segment in self.segments:
            end = start + len(segment.token_ids)
            blocks += [(row, min(ABREAST, end - row), int(segment.alternatives)) for row in range(start, end, ABREAST)]
            start = end
        return np.array(blocks, dtype=np.int64)

    @cached_property
    def longest(self) -> int:
        """The most tokens before any new one."""
        return max(self.positions)

    @property
    def single(self) -> bool:
        """Whether every new token sees nothing new but itself."""
        return all(s.alternatives or len(s.token_ids) == 1 for s in self.segments)


def additive(seen: Tensor, dtype: torch.dtype) -> Tensor:
    """From what is seen to what is added to scores."""
    return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill_(~seen, -torch.inf)
