"""Keys and values of stored tokens, in pages. Knows tensors; knows neither which tokens they are nor who uses them."""

from collections.abc import Sequence
from dataclasses import dataclass

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


class KvStore:
    """Per layer, keys as (pages, heads, key_width, page_tokens) and values as (pages, heads, page_tokens, value_width).

    Keys lie transposed so that one vector register holds the same component of a whole page's keys. Memory is
    reserved at once and taken from the system as pages are first written.
    """

    def __init__(self, layout: Layout, pages: int, device: torch.device) -> None:
        layers, page_tokens, dtype = layout.layers, layout.page_tokens, layout.dtype
        self.page_tokens = page_tokens
        self.page_bytes = layout.page_bytes
        self.windows = [layer.window for layer in layers]
        self.keys = [
            torch.empty(pages, each.heads, each.key_width, page_tokens, dtype=dtype, device=device) for each in layers
        ]
        self.values = [
            torch.empty(pages, each.heads, page_tokens, each.value_width, dtype=dtype, device=device) for each in layers
        ]

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
