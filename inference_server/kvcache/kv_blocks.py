"""Keys and values of stored tokens, in pages. Knows tensors; knows neither which tokens they are nor who uses them."""

import math
import mmap
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class LayerShape:
    """What one attention layer stores of a token."""

    heads: int
    key_width: int
    value_width: int
    window: int | None = None  # how many last tokens it sees; None: all

    @property
    def numbers(self) -> int:
        """Numbers stored of one token."""
        return self.heads * (self.key_width + self.value_width)


@dataclass(frozen=True, slots=True)
class Layout:
    """What a model's layers store of a token, and in pages of how many tokens."""

    layers: Sequence[LayerShape]
    dtype: torch.dtype
    page_tokens: int

    @property
    def page_bytes(self) -> int:
        """Bytes of one page in all layers."""
        return sum(layer.numbers for layer in self.layers) * self.dtype.itemsize * self.page_tokens


RUN = 8  # pages whose parts of a layer lie side by side
FEW = 8 * RUN


def whole_runs(pages: int) -> int:
    """The most pages up to so many that a store lays out in runs, unless they are too few for that to matter."""
    return pages if pages < FEW else pages - pages % RUN


class KVBlocks:
    """Per layer, keys as (pages, heads, key_width, page_tokens) and values as (pages, heads, page_tokens, value_width).

    Keys lie transposed so that one vector register holds the same component of a whole page's keys. A page's number
    says where it lies: `page_step` bytes after the same part of the page numbered one less. Where all parts are of one
    size, a layer's keys of RUN pages lie side by side, as do its values: what a prompt took one after another is read
    like a stream. Memory is reserved at once and taken from the system as pages are first written.
    """

    def __init__(self, layout: Layout, pages: int, device: torch.device) -> None:
        layers, page_tokens, dtype = layout.layers, layout.page_tokens, layout.dtype
        self.page_tokens = page_tokens
        self.page_bytes = layout.page_bytes
        self.layer_bytes = max(layer.numbers for layer in layers) * dtype.itemsize * page_tokens  # of a page, at most
        self.windows = [layer.window for layer in layers]
        shapes = [
            shape
            for each in layers
            for shape in ((each.heads, each.key_width, page_tokens), (each.heads, page_tokens, each.value_width))
        ]
        sizes, whole = [math.prod(shape) for shape in shapes], layout.page_bytes // dtype.itemsize
        run, step = (RUN, sizes[0]) if len(set(sizes)) == 1 and pages % RUN == 0 else (1, whole)
        self.numbers: Sequence[int] = [page // run * run * (whole // step) + page % run for page in range(pages)]
        self.page_step = step * dtype.itemsize
        memory = _reserve(pages * whole, dtype, device)
        places = self.numbers[-1] + 1 if pages else 0
        starts = accumulate(sizes, initial=0)
        pieces = [
            memory.as_strided((places, *shape), (step, shape[1] * shape[2], shape[2], 1), run * start)
            for shape, start in zip(shapes, starts, strict=False)
        ]
        self.keys, self.values = pieces[::2], pieces[1::2]

    def write(self, layer: int, pages: Tensor, slots: Tensor, key: Tensor, value: Tensor) -> None:
        """Stores key and value (tokens, heads, width) in each token's page and slot (both (tokens,), int64)."""
        self.keys[layer][pages, :, :, slots] = key
        self.values[layer][pages, :, slots] = value

    def read(self, layer: int, pages: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Keys and values (heads, count, width) of the first `count` tokens in `pages` (int64)."""
        keys = self.keys[layer][pages].permute(1, 0, 3, 2).flatten(1, 2)
        values = self.values[layer][pages].transpose(0, 1).flatten(1, 2)
        return keys[:, :count], values[:, :count]

    def copy_page(self, source: int, target: int) -> None:
        for tensor in (*self.keys, *self.values):
            tensor[target] = tensor[source]

    def copy_slot(self, source: tuple[int, int], target: tuple[int, int]) -> None:
        """Copies one token's keys and values from (page, slot) to (page, slot)."""
        for keys in self.keys:
            keys[target[0], :, :, target[1]] = keys[source[0], :, :, source[1]]
        for values in self.values:
            values[target[0], :, target[1]] = values[source[0], :, source[1]]

    def clear_slot(self, place: tuple[int, int]) -> None:
        """Zeros for one token's keys and values at (page, slot)."""
        for keys in self.keys:
            keys[place[0], :, :, place[1]] = 0
        for values in self.values:
            values[place[0], :, place[1]] = 0


def _reserve(count: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Unwritten numbers; in a process's own memory in the largest pages the system has, for one is read all over."""
    huge = getattr(mmap, "MADV_HUGEPAGE", None)
    if device.type != "cpu" or huge is None or not count:
        return torch.empty(count, dtype=dtype, device=device)
    memory = mmap.mmap(-1, count * dtype.itemsize, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with suppress(OSError):  # a system built without them
        memory.madvise(huge)
    return torch.frombuffer(memory, dtype=dtype)


class TokenKVBlocks(KVBlocks):
    """Per layer, keys and values alike as (pages, page_tokens, heads, width): a whole token's lie side by side.

    So pages of many prompts are gathered at once into what attention reads, on any device. Starts as zeros: what no
    token has written may be read, with a weight of zero.
    """

    def __init__(self, layout: Layout, pages: int, device: torch.device) -> None:
        super().__init__(layout, 0, device)
        self.numbers = range(pages)

        def zeros(heads: int, width: int) -> Tensor:
            return torch.zeros(pages, layout.page_tokens, heads, width, dtype=layout.dtype, device=device)

        self.keys = [zeros(each.heads, each.key_width) for each in layout.layers]
        self.values = [zeros(each.heads, each.value_width) for each in layout.layers]

    def write(self, layer: int, pages: Tensor, slots: Tensor, key: Tensor, value: Tensor) -> None:
        self.keys[layer][pages, slots] = key
        self.values[layer][pages, slots] = value

    def read(self, layer: int, pages: Tensor, count: int) -> tuple[Tensor, Tensor]:
        keys, values = (each[layer][pages].flatten(0, 1)[:count] for each in (self.keys, self.values))
        return keys.transpose(0, 1), values.transpose(0, 1)

    def gather(self, layer: int, table: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (prompts, heads, pages · page_tokens, width) of a table (prompts, pages) of int64."""
        keys, values = (each[layer][table].flatten(1, 2) for each in (self.keys, self.values))
        return keys.transpose(1, 2), values.transpose(1, 2)

    def copy_slot(self, source: tuple[int, int], target: tuple[int, int]) -> None:
        for tensor in (*self.keys, *self.values):
            tensor[target] = tensor[source]

    def clear_slot(self, place: tuple[int, int]) -> None:
        for tensor in (*self.keys, *self.values):
            tensor[place] = 0
