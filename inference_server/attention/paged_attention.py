"""Attention over a batch of prompts of different lengths, for unmodified transformers models.

The new tokens of all prompts arrive packed as one row; each span attends to its own cached keys and values. The pass in
flight is thread-local, so models may run in several threads.
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
from inference_server.interruption import Interruption
from inference_server.kvcache.kv_blocks import KVBlocks, LayerShape

IMPLEMENTATION = "nexttoken_paged"
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
    """The model needs something of its attention that this one doesn't support."""


class Rows(Protocol):
    """A faster way to attend."""

    def attend(
        self, batch: Batch, layer: int, query: Tensor, key: Tensor, value: Tensor, scaling: float, window: int | None
    ) -> Tensor:
        """As Pass.attend, caching keys and values."""
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
    """A forward pass of any batch."""

    def __init__(
        self,
        batch: Batch,
        store: KVBlocks | None,
        rows: "Rows | None" = None,
        interruption: Interruption | None = None,
    ) -> None:
        """`rows` is used where it can be. Without a `store`, nothing is cached. `interruption` may end it early."""
        self.batch = batch
        self.rows = rows
        self.store = store
        self.interruption = interruption
        self.shapes: dict[int, LayerShape] = {}  # of the layers, recorded if there is no store
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
        """As Attending.attend. Raises Interrupted."""
        batch, store = self.batch, self.store
        if self.interruption is not None:
            self.interruption.check()
        if self.rows is not None and cap is None:
            return self.rows.attend(batch, layer, query, key, value, scaling, window)
        if store is None:
            self.shapes[layer] = LayerShape(key.shape[0], key.shape[2], value.shape[2], window)
            self.dtype = key.dtype
        else:
            rows = batch.write_rows
            new = (each.transpose(0, 1) if rows is None else each.transpose(0, 1)[rows] for each in (key, value))
            store.write(layer, batch.write_blocks, batch.write_slots, *new)
        output = query.new_empty(query.shape[1], query.shape[0], value.shape[2])
        for index, span in enumerate(batch.spans):
            here = slice(span.start, span.start + span.count)
            keys, values = key[:, here], value[:, here]
            if span.prefix and store is not None and span.alternatives:
                cached = store.read(layer, span.blocks, span.prefix)
                keys, values = torch.cat((cached[0], keys), 1), torch.cat((cached[1], values), 1)
            elif span.prefix and store is not None:
                keys, values = store.read(layer, span.blocks, span.prefix + span.count)
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
    """Makes `work` this thread's pass in flight."""
    _current.value = work
    try:
        yield
    finally:
        _current.value = None


def paged_attention(
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
    """The function that models call. Raises UnsupportedAttentionError for arguments that would change the result."""
    work = _current.value
    if work is None:
        raise RuntimeError("This is a bug: paged attention outside a pass.")
    changing = [
        name for name, given in others.items() if given is not None and given is not False and name not in _IGNORED
    ]
    if attention_mask is not None or changing or query.shape[0] != 1 or not getattr(module, "is_causal", True):
        raise UnsupportedAttentionError(f"attention with {', '.join(changing) or 'its own mask'}")
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
    """(prompts, heads, new, width) against (prompts, key heads, all, width). `mask` is added to the scores.

    `cap` limits the scores with a tanh.
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


AttentionInterface.register(IMPLEMENTATION, paged_attention)
