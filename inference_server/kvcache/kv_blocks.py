"""The tensors of cached keys and values, in blocks."""

import mmap
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class LayerShape:
    """What one attention layer caches of a token."""

    heads: int
    key_width: int
    value_width: int
    window: int | None = None  # how many of the last tokens it sees; None: all

    @property
    def numbers(self) -> int:
        """Numbers cached per token."""
        return self.heads * (self.key_width + self.value_width)


@dataclass(frozen=True, slots=True)
class Layout:
    """What a model's layers cache of a token, and the tokens per block."""

    layers: Sequence[LayerShape]
    dtype: torch.dtype
    block_size: int

    @property
    def block_bytes(self) -> int:
        """Bytes of one block in all layers."""
        return sum(layer.numbers for layer in self.layers) * self.dtype.itemsize * self.block_size


RUN = 8  # blocks that lie side by side within each layer
FEW = 8 * RUN


def whole_runs(blocks: int) -> int:
    """Rounds a number of blocks down to whole runs, unless there are too few for runs to matter."""
    return blocks if blocks < FEW else blocks - blocks % RUN


def _alike(layers: Sequence[LayerShape]) -> Iterator[tuple[int, LayerShape]]:
    """Successive layers of one shape: how many, and the first."""
    for _, group in groupby(layers, lambda each: (each.heads, each.key_width, each.value_width)):
        first, *others = group
        yield 1 + len(others), first


class KVBlocks:
    """Per layer, keys (blocks, heads, key_width, block_size) and values (blocks, heads, block_size, value_width).

    Keys are transposed, so that a vector register holds the same component of all keys of a block. A block's number
    is its address in units of `block_step` bytes. If keys and values are of one size in all layers, those of RUN blocks
    lie side by side in each layer, so consecutive blocks of a prompt are read as a stream. Memory is reserved at once
    and taken from the system when blocks are first written.
    """

    def __init__(self, layout: Layout, blocks: int, device: torch.device) -> None:
        layers, block_size, dtype = layout.layers, layout.block_size, layout.dtype
        self.block_size = block_size
        self.block_bytes = layout.block_bytes
        self.layer_bytes = max(layer.numbers for layer in layers) * dtype.itemsize * block_size  # of a block, at most
        self.windows = [layer.window for layer in layers]
        sizes = {each.heads * width * block_size for each in layers for width in (each.key_width, each.value_width)}
        whole = layout.block_bytes // dtype.itemsize
        run, step = (RUN, sizes.pop()) if len(sizes) == 1 and blocks % RUN == 0 else (1, whole)
        self.numbers: Sequence[int] = [block // run * run * (whole // step) + block % run for block in range(blocks)]
        self.block_step = step * dtype.itemsize
        memory = _reserve(blocks * whole, dtype, device)
        places, start = self.numbers[-1] + 1 if blocks else 0, 0

        def stack(first: int, count: int, each: LayerShape, rows: int, columns: int) -> Tensor:
            strides = run * each.numbers * block_size, step, rows * columns, columns, 1
            return memory.as_strided((count, places, each.heads, rows, columns), strides, run * first)

        self._stacks = list[tuple[Tensor, Tensor]]()
        """Keys and values of successive layers of one shape, as one tensor each."""
        for count, each in _alike(layers):
            keys = stack(start, count, each, each.key_width, block_size)
            values = stack(start + each.heads * each.key_width * block_size, count, each, block_size, each.value_width)
            self._stacks.append((keys, values))
            start += count * each.numbers * block_size
        self.keys: list[Tensor] = [layer for keys, _ in self._stacks for layer in keys]
        self.values: list[Tensor] = [layer for _, values in self._stacks for layer in values]

    def write(self, layer: int, blocks: Tensor, slots: Tensor, key: Tensor, value: Tensor) -> None:
        """Stores keys and values (tokens, heads, width) in each token's block and slot (both (tokens,), int64)."""
        self.keys[layer][blocks, :, :, slots] = key
        self.values[layer][blocks, :, slots] = value

    def read(self, layer: int, blocks: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Keys and values (heads, count, width) of the first `count` tokens in `blocks` (int64)."""
        keys = self.keys[layer][blocks].permute(1, 0, 3, 2).flatten(1, 2)
        values = self.values[layer][blocks].transpose(0, 1).flatten(1, 2)
        return keys[:, :count], values[:, :count]

    def copy_block(self, source: int, target: int) -> None:
        for both in self._stacks:
            for tensor in both:
                tensor[:, target] = tensor[:, source]

    def copy_slot(self, source: tuple[int, int], target: tuple[int, int]) -> None:
        """Copies a token's keys and values from (block, slot) to (block, slot)."""
        for keys, values in self._stacks:
            keys[:, target[0], ..., target[1]] = keys[:, source[0], ..., source[1]]
            values[:, target[0], :, target[1]] = values[:, source[0], :, source[1]]

    def clear_slot(self, at: tuple[int, int]) -> None:
        """Zeros a token's keys and values at (block, slot)."""
        for keys, values in self._stacks:
            keys[:, at[0], ..., at[1]] = 0
            values[:, at[0], :, at[1]] = 0


def _reserve(count: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Uninitialised numbers; on a CPU in the largest pages the system has, since all of it is read."""
    huge = getattr(mmap, "MADV_HUGEPAGE", None)
    if device.type != "cpu" or huge is None or not count:
        return torch.empty(count, dtype=dtype, device=device)
    memory = mmap.mmap(-1, count * dtype.itemsize, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with suppress(OSError):  # a system built without them
        memory.madvise(huge)
    return torch.frombuffer(memory, dtype=dtype)


class TokenKVBlocks(KVBlocks):
    """Per layer, keys and values as (blocks, block_size, heads, width), so that each token's lie side by side.

    Blocks of many prompts can then be gathered at once on any device. Memory starts as zeros, since slots that were
    never written may be read, with a weight of zero.
    """

    def __init__(self, layout: Layout, blocks: int, device: torch.device) -> None:
        super().__init__(layout, 0, device)
        self.numbers = range(blocks)

        def zeros(count: int, heads: int, width: int) -> Tensor:
            return torch.zeros(count, blocks, layout.block_size, heads, width, dtype=layout.dtype, device=device)

        self._stacks = [
            (zeros(count, each.heads, each.key_width), zeros(count, each.heads, each.value_width))
            for count, each in _alike(layout.layers)
        ]
        self.keys: list[Tensor] = [layer for keys, _ in self._stacks for layer in keys]
        self.values: list[Tensor] = [layer for _, values in self._stacks for layer in values]

    def write(self, layer: int, blocks: Tensor, slots: Tensor, key: Tensor, value: Tensor) -> None:
        self.keys[layer][blocks, slots] = key
        self.values[layer][blocks, slots] = value

    def read(self, layer: int, blocks: Tensor, count: int) -> tuple[Tensor, Tensor]:
        keys, values = (each[layer][blocks].flatten(0, 1)[:count] for each in (self.keys, self.values))
        return keys.transpose(0, 1), values.transpose(0, 1)

    def gather(self, layer: int, table: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (prompts, heads, blocks · block_size, width) of a table (prompts, blocks) of int64."""
        keys, values = (each[layer][table].flatten(1, 2) for each in (self.keys, self.values))
        return keys.transpose(1, 2), values.transpose(1, 2)

    def copy_slot(self, source: tuple[int, int], target: tuple[int, int]) -> None:
        for both in self._stacks:
            for tensor in both:
                tensor[:, target[0], target[1]] = tensor[:, source[0], source[1]]

    def clear_slot(self, at: tuple[int, int]) -> None:
        for both in self._stacks:
            for tensor in both:
                tensor[:, at[0], at[1]] = 0
