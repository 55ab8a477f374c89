"""A pass that also tells the attention weights of its last token."""

import torch
from torch import Tensor

from inference_server.attention.batch import Batch
from inference_server.attention.paged_attention import Pass
from inference_server.kvcache.kv_blocks import KVBlocks


class WeighingPass(Pass):
    """A pass over one prompt. `weights` gets, by layer, how the last token's attention is spread (heads, tokens)."""

    def __init__(self, batch: Batch, store: KVBlocks | None, weights: dict[int, Tensor]) -> None:
        super().__init__(batch, store)
        self._weights = weights

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
        """As Pass.attend."""
        mixed = super().attend(layer, query, key, value, scaling, window, cap)
        span = self.batch.spans[-1]
        keys = key[:, span.start : span.start + span.count]
        if span.prefix and self.store is not None and span.alternatives:
            keys = torch.cat((self.store.read(layer, span.blocks, span.prefix)[0], keys), 1)
        elif span.prefix and self.store is not None:
            keys, _ = self.store.read(layer, span.blocks, span.prefix + span.count)
        seen = span.seen(window)
        self._weights[layer] = weigh(query[:, -1], keys, scaling, cap, None if seen is None else seen[-1])
        return mixed


def weigh(query: Tensor, keys: Tensor, scaling: float, cap: float | None, seen: Tensor | None) -> Tensor:
    """One token's query (heads, width) against keys (key heads, tokens, width): weights (heads, tokens) in float32.

    `cap` limits the scores with a tanh; of the keys only those `seen` (tokens,) count; None: all.
    """
    keys = keys.repeat_interleave(query.shape[0] // keys.shape[0], 0)
    scores = (keys @ query[:, :, None])[..., 0] * scaling
    if cap is not None:
        scores = torch.tanh(scores / cap) * cap
    if seen is not None:
        scores = scores.masked_fill(~seen.to(scores.device), -torch.inf)
    return scores.softmax(-1, dtype=torch.float32)
