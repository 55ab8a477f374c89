"""Attention over a batch of prompts of different lengths, for unmodified transformers models.

The packed new tokens of all prompts arrive as one row; each span attends to its own stored keys and values. The batch
in flight is found per thread, so models running in several threads don't meet.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from inference_server.attention.batch import Batch
from inference_server.kvcache.kv_blocks import KVBlocks, LayerShape

IMPLEMENTATION = "ragged"
_IGNORED = {
    "dropout",
    "position_ids",
    "position_embeddings",
    "use_cache",
    "is_causal",
    "cache_position",
    "output_attentions",
}


class UnsupportedAttentionError(Exception):
    """The model asks its attention for something this one doesn't do."""


class Rows(Protocol):
    """A faster way to attend."""

    def attend(
        self, batch: Batch, layer: int, query: Tensor, key: Tensor, value: Tensor, scaling: float, window: int | None
    ) -> Tensor:
        """As Pass.attend, keys and values stored."""
        ...


class Attending(Protocol):
    """A forward pass in flight, as its layers see it."""

    def attend(
        self,
        layer: int,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        scaling: float,
        window: int | None,
        cap: float | None,
    ) -> Tensor:
        """query (heads, tokens, width), key and value (key heads, tokens, width) → (tokens, heads, width)."""
        ...


class Pass:
    """A forward pass of any batch: what it reads, and where it stores."""

    def __init__(self, batch: Batch, store: KVBlocks | None, rows: "Rows | None" = None) -> None:
        """`rows` attends where there is a faster way."""
        self.batch = batch
        self.rows = rows
        self.store = store
        self.shapes: dict[int, LayerShape] = {}  # filled instead of storing when there is no store yet
        self.dtype = torch.float32

    def attend(
        self,
        layer: int,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        scaling: float,
        window: int | None,
        cap: float | None,
    ) -> Tensor:
        """As Attending.attend."""
        batch, store = self.batch, self.store
        if self.rows is not None and cap is None:
            return self.rows.attend(batch, layer, query, key, value, scaling, window)
        if store is None:
            self.shapes[layer] = LayerShape(key.shape[0], key.shape[2], value.shape[2], window)
            self.dtype = key.dtype
        else:
            rows = batch.kept_rows
            kept = (each.transpose(0, 1) if rows is None else each.transpose(0, 1)[rows] for each in (key, value))
            store.write(layer, batch.kept_pages, batch.kept_slots, *kept)
        output = query.new_empty(query.shape[1], query.shape[0], value.shape[2])
        for index, span in enumerate(batch.spans):
            here = slice(span.start, span.start + span.count)
            keys, values = key[:, here], value[:, here]
            if span.prefix and store is not None and span.alternatives:
                stored = store.read(layer, span.pages, span.prefix)
                keys, values = torch.cat((stored[0], keys), 1), torch.cat((stored[1], values), 1)
            elif span.prefix and store is not None:
                keys, values = store.read(layer, span.pages, span.prefix + span.count)
            causal = cap is None and span.causal(window)
            mask = None if causal else batch.mask(index, window, query.dtype)
            mixed = attention(query[None, :, here], keys[None], values[None], mask, scaling, cap, causal=causal)
            output[here] = mixed[0].transpose(0, 1)
        return output


class _Current(threading.local):
    value: Attending | None = None


_current = _Current()


@contextmanager
def running(work: Attending) -> Iterator[None]:
    """Makes `work` what this thread's attention sees."""
    _current.value = work
    try:
        yield
    finally:
        _current.value = None


def ragged_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """What models call. Raises UnsupportedAttentionError for an argument that would change its result."""
    work = _current.value
    if work is None:
        raise RuntimeError("This is a bug: ragged attention outside a pass.")
    changing = [
        name for name, given in others.items() if given is not None and given is not False and name not in _IGNORED
    ]
    if attention_mask is not None or changing or query.shape[0] != 1 or not getattr(module, "is_causal", True):
        raise UnsupportedAttentionError(f"attention with {', '.join(changing) or 'a mask of its own'}")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    layer = module.layer_idx
    if not isinstance(layer, int):
        raise UnsupportedAttentionError("an attention layer without an index")
    return work.attend(layer, query[0], key[0], value[0], scale, sliding_window, softcap)[None], None


def attention(
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    mask: Tensor | None,
    scaling: float,
    cap: float | None,
    *,
    causal: bool = False,
) -> Tensor:
    """(prompts, heads, new, width) against (prompts, key heads, all, width); `cap` bounds the scores smoothly.

    `mask` is added to the scores.
    """
    share = query.shape[1] // keys.shape[1]
    if cap is None:
        return scaled_dot_product_attention(
            query, keys, values, attn_mask=mask, is_causal=causal, scale=scaling, enable_gqa=share > 1
        )
    if share > 1:
        keys, values = keys.repeat_interleave(share, 1), values.repeat_interleave(share, 1)
    scores = torch.tanh(torch.matmul(query, keys.transpose(2, 3)) * scaling / cap) * cap
    if mask is not None:
        scores = scores + mask
    return torch.matmul(scores.softmax(-1, dtype=torch.float32).to(values.dtype), values)


AttentionInterface.register(IMPLEMENTATION, ragged_attention)
