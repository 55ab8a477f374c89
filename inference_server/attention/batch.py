"""The tables of one forward pass over new tokens of many prompts."""

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
ABREAST = 4  # new tokens of a prompt that read its blocks together


@dataclass(frozen=True, slots=True)
class Segment:
    """New tokens of one prompt: those that follow its cached ones, or alternatives for the next one.

    Following tokens are cached; the pass gives the logits after the last of them (`every_row`: after each).
    Alternatives each see the cached tokens and themselves only; the pass gives the logits after each. With `keep`,
    their keys and values are cached beside the prompt, and one of them may be adopted later. With `hidden`, each
    alternative does not see a range of the cached tokens, from the first number up to the second.
    """

    table: BlockTable
    token_ids: Sequence[int]
    alternatives: bool = False
    keep: bool = False
    every_row: bool = False
    hidden: Sequence[tuple[int, int]] = ()

    @property
    def rows(self) -> int:
        """Rows of logits it gets."""
        return len(self.token_ids) if self.alternatives or self.every_row else 1


@dataclass(frozen=True, slots=True)
class Span:
    """A segment's position in the packed pass. `blocks` hold its `prefix` cached tokens, then its own."""

    start: int
    count: int
    prefix: int
    blocks: Tensor
    alternatives: bool
    hidden: Sequence[tuple[int, int]] = ()

    def causal(self, window: int | None) -> bool:
        """Whether each new token sees all tokens before it, and all of those are new."""
        return self.prefix == 0 and not self.alternatives and (window is None or self.count <= window)

    def seen(self, window: int | None) -> Tensor | None:
        """Which keys, the prefix and then the new ones, each new token sees (count, prefix + count); None: all."""
        if self.count == 1 and not self.hidden and (window is None or self.prefix < window):
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
        for row, (first, end) in zip(seen, self.hidden, strict=bool(self.hidden)):
            row[first:end] = False
        return seen


class Batch:
    """As tensors on `device`; blocks must have been allocated for the new tokens."""

    def __init__(self, segments: Sequence[Segment], block_size: int, device: torch.device = CPU) -> None:
        self.segments = segments
        self.device = device
        self._block_size = block_size
        self.token_ids = list(chain.from_iterable(segment.token_ids for segment in segments))
        self.positions: list[int] = []
        self.logit_rows: list[int] = []
        self._written: list[int] = []
        self._slots: list[int] = []
        start = 0
        for segment in segments:
            prefix, count = len(segment.table), len(segment.token_ids)
            steps = range(count)
            self.positions.extend([prefix] * count if segment.alternatives else range(prefix, prefix + count))
            self.logit_rows.extend(range(start + count - segment.rows, start + count))
            if segment.keep or not segment.alternatives:
                blocks, first = (
                    (segment.table.alternative_blocks, 0) if segment.alternatives else (segment.table.blocks, prefix)
                )
                self._written.extend(range(start, start + count))
                self._slots.extend(
                    blocks[(first + i) // block_size] * block_size + (first + i) % block_size for i in steps
                )
            start += count
        self.masks: dict[tuple[int, int | None], Tensor | None] = {}

    def __len__(self) -> int:
        return len(self.token_ids)

    @cached_property
    def spans(self) -> list[Span]:
        spans, start = [], 0
        for segment in self.segments:
            prefix = len(segment.table)
            stored = prefix if segment.alternatives else prefix + len(segment.token_ids)
            blocks = self.tensor(segment.table.blocks[: -(-stored // self._block_size)])
            spans.append(Span(start, len(segment.token_ids), prefix, blocks, segment.alternatives, segment.hidden))
            start += len(segment.token_ids)
        return spans

    @cached_property
    def write_rows(self) -> Tensor | None:
        """Which new tokens are cached (int64); None: all."""
        return None if len(self._written) == len(self) else self.tensor(self._written)

    @cached_property
    def write_blocks(self) -> Tensor:
        return self.tensor([slot // self._block_size for slot in self._slots])

    @cached_property
    def write_slots(self) -> Tensor:
        return self.tensor([slot % self._block_size for slot in self._slots])

    def mask(self, index: int, window: int | None, dtype: torch.dtype) -> Tensor | None:
        """What is added to a span's scores, 0 or minus infinity, made once for all layers; None: nothing."""
        key = (index, window)
        if key not in self.masks:
            seen = self.spans[index].seen(window)
            self.masks[key] = None if seen is None else additive(seen, dtype).to(self.device)
        return self.masks[key]

    def tensor(self, numbers: Sequence[int]) -> Tensor:
        """Integers on the device."""
        return torch.tensor(numbers, dtype=torch.int64, device=self.device)

    @cached_property
    def rows(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """For each new token: where its prompt's blocks begin in the second table, its position, its slot or -1, and
        the first and the end of the range that is hidden from it.

        A slot is numbered through all blocks.
        """
        table, blocks, slots = (
            list[tuple[int, int, int, int, int]](),
            list[int](),
            dict(zip(self._written, self._slots, strict=True)),
        )
        for segment in self.segments:
            count = 0 if segment.alternatives else len(segment.token_ids)
            hidden = segment.hidden or ((0, 0),) * len(segment.token_ids)
            for row, unseen in enumerate(hidden, len(table)):
                table.append((len(blocks), self.positions[row], slots.get(row, -1), *unseen))
            blocks.extend(segment.table.blocks[: -(-(len(segment.table) + count) // self._block_size)])
        return np.array(table, dtype=np.int64), np.array(blocks or [0], dtype=np.int64)

    @cached_property
    def tiles(self) -> NDArray[np.int64]:
        """Up to ABREAST new tokens of one prompt each: the first of them, how many, and 1 for alternatives."""
        tiles, start = list[tuple[int, int, int]](), 0
        for segment in self.segments:
            end = start + len(segment.token_ids)
            tiles += [(row, min(ABREAST, end - row), int(segment.alternatives)) for row in range(start, end, ABREAST)]
            start = end
        return np.array(tiles, dtype=np.int64)

    @cached_property
    def longest(self) -> int:
        """The most tokens before any new one."""
        return max(self.positions)

    @property
    def hides(self) -> bool:
        """Whether cached tokens are hidden from any new one."""
        return any(segment.hidden for segment in self.segments)

    @property
    def single(self) -> bool:
        """Whether each new token sees no new token but itself."""
        return all(s.alternatives or len(s.token_ids) == 1 for s in self.segments)


def additive(seen: Tensor, dtype: torch.dtype) -> Tensor:
    """A mask to add to scores, from which keys are seen."""
    return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill_(~seen, -torch.inf)
