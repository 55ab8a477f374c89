"""Forward passes over stored prompts: what the worker thread calls. Knows models and storage; knows no requests."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from inference_server.attention.batch import Batch, Segment
from inference_server.attention.paged_attention import Pass, Rows, running
from inference_server.gpu.cuda_graph import free_bytes, recorder
from inference_server.gpu.graph_runner import GraphRunner, spare_pages
from inference_server.kvcache.block_pool import BlockPool
from inference_server.kvcache.kv_blocks import KVBlocks, Layout, TokenKVBlocks, whole_runs
from inference_server.kvcache.radix_cache import BlockTable, RadixCache
from inference_server.stats import KVCacheStats


class DecodeStep(Protocol):
    """A faster way through some batches."""

    def fits(self, batch: Batch) -> bool:
        """Whether `run` can compute the batch."""
        ...

    def run(self, batch: Batch) -> Tensor:
        """As the pass layer by layer: logits (rows, vocabulary), keys and values stored."""
        ...


class ModelRunner:
    """All new tokens of all prompts in one pass, over paged storage shared by prefix. One thread at a time."""

    def __init__(
        self,
        model: PreTrainedModel,
        layout: Layout,
        cache_bytes: int,
        *,
        compiled: bool = False,
        fused: bool = False,
        fixed: bool = False,
    ) -> None:
        """`model` has the ragged attention set. Storage takes at most `cache_bytes`. Raises ValueError if too few.

        `compiled` takes compiled attention for batches of single tokens, `fused` one compiled pass for few of them;
        both are for CPUs. `fixed` takes steps of fixed shapes, which a GPU records. Raises an exception of any kind
        where those don't fit.
        """
        self._model = model
        page_bytes, page_tokens = layout.page_bytes, layout.page_tokens
        spare = spare_pages(page_tokens) if fixed else 0
        pages = whole_runs(cache_bytes // page_bytes - spare)
        if pages < 1:
            raise ValueError(f"{cache_bytes} bytes of cache hold no page of {page_bytes} bytes")
        self.store = (TokenKVBlocks if fixed else KVBlocks)(layout, pages + spare, model.device)
        self.pool = BlockPool(self.store.numbers[:pages], page_tokens)
        self.tree = RadixCache(self.pool, self.store.copy_page)
        self._rows = _row_attention(self.store) if compiled else None
        self._step: DecodeStep | None = None
        if fused:
            self._step = _fused_step(model, self.store)
        elif isinstance(self.store, TokenKVBlocks):
            free = partial(free_bytes, model.device)
            self._step = GraphRunner(model, self.store, pages, recorder(model.device), free)

    @property
    def compiled(self) -> bool:
        """Whether batches of single tokens take compiled attention."""
        return self._rows is not None

    @property
    def fused(self) -> bool:
        """Whether steps of few tokens take the compiled pass."""
        return self._step is not None and not self.fixed

    @property
    def fixed(self) -> bool:
        """Whether steps of few tokens take fixed shapes."""
        return isinstance(self._step, GraphRunner)

    @property
    def stats(self) -> KVCacheStats:
        """What is counted, from any thread."""
        tree, pool = self.tree, self.pool
        return KVCacheStats(
            tree.hit_tokens,
            tree.evicted_pages,
            pool.used,
            pool.total,
            self.store.page_bytes,
            tree.open_prompts,
            tree.stray_holds,
        )

    @property
    def capacity(self) -> int:
        """The most tokens that can be stored."""
        return self.pool.total * self.pool.page_tokens

    def open(self, token_ids: Sequence[int]) -> BlockTable:
        """A handle on the longest stored prefix of `token_ids`; to be closed."""
        return self.tree.open(token_ids)

    def close(self, stored: BlockTable) -> None:
        """Lets the prompt's storage be evicted when its turn comes."""
        self.tree.close(stored)

    def prepare(self) -> None:
        """Does what would make the first requests wait."""
        if isinstance(self._step, GraphRunner):
            self._step.prepare()

    def run(self, segments: Sequence[Segment]) -> Tensor:
        """Logits (rows of all segments in order, vocabulary) in float32, on the CPU; what they follow is then stored.

        Each segment needs a handle of its own and at least one token. Raises CacheFull before computing when the new
        tokens have no room; after any exception the handles are as they were, or can be closed.
        """
        logits = self.compute(segments).cpu()
        rows = logits.split([segment.rows for segment in segments])
        self.settle(segments, [bool(np.isnan(each.numpy().max())) for each in rows])
        return logits

    def compute(self, segments: Sequence[Segment]) -> Tensor:
        """As `run`, on the model's device, whose work nothing here waits for; `settle` has to follow."""
        for segment in segments:
            if not segment.alternatives:
                self.tree.reserve(segment.stored, len(segment.token_ids))
            elif segment.keep:
                self.tree.reserve_alternatives(segment.stored, segment.token_ids)
        batch = Batch(segments, self.pool.page_tokens, self._model.device)
        if self._step is not None and self._step.fits(batch):
            return self._step.run(batch)
        with running(Pass(batch, self.store, self._rows)):
            return forward(self._model, batch.token_ids, batch.positions, batch.logit_rows)

    def settle(self, segments: Sequence[Segment], broken: Sequence[bool]) -> None:
        """Stores the tokens of segments that were computed, but for those whose logits are broken by a NaN."""
        for segment, lost in zip(segments, broken, strict=True):
            if lost:
                self._forget(segment)
            elif not segment.alternatives:
                self.tree.commit(segment.stored, segment.token_ids)
            elif segment.keep:
                segment.stored.alternatives = list(segment.token_ids)

    def _forget(self, segment: Segment) -> None:
        """Leaves nothing of tokens that gave no numbers: even those before the first bad one may have none stored."""
        pages, first = (
            (segment.stored.extras, 0) if segment.alternatives else (segment.stored.pages, len(segment.stored))
        )
        places = range(first, first + len(segment.token_ids) if segment.keep or not segment.alternatives else first)
        for place in places:
            self.store.clear_slot((pages[place // self.pool.page_tokens], place % self.pool.page_tokens))

    def adopt(self, stored: BlockTable, token_id: int) -> BlockTable | None:
        """A new handle on the prompt followed by a kept alternative, nothing computed; None if it isn't kept."""
        if token_id not in stored.alternatives:
            return None
        size = self.pool.page_tokens
        place = stored.alternatives.index(token_id)
        longer = self.tree.fork(stored)
        try:
            self.tree.reserve(longer, 1)
        except Exception:
            self.tree.close(longer)
            raise
        last = len(stored)
        self.store.copy_slot((stored.extras[place // size], place % size), (longer.pages[last // size], last % size))
        self.tree.commit(longer, [token_id])
        return longer

    @contextmanager
    def uncached(self, tokens: int) -> Iterator[None]:
        """Within, the model itself computes a whole prompt of that many tokens; no block is read or written."""
        prompt = [0] * tokens  # its length alone matters
        with running(Pass(Batch([Segment(BlockTable(pages=[0]), prompt)], tokens, self._model.device), None)):
            yield


def _row_attention(store: KVBlocks) -> Rows:
    from inference_server.cpu.paged_attention import CompiledAttention  # here, since it needs numba

    return CompiledAttention(store)


def _fused_step(model: PreTrainedModel, store: KVBlocks) -> DecodeStep:
    from inference_server.cpu.fused_decoder import FusedDecoder  # here, since it needs numba

    return FusedDecoder(model, store)


def forward(model: PreTrainedModel, token_ids: list[int], positions: list[int], logit_rows: list[int]) -> Tensor:
    """One packed row of tokens through the model: logits (len(logit_rows), vocabulary) in float32."""
    device = model.device
    inputs: dict[str, Any] = {
        "input_ids": torch.tensor([token_ids], device=device),
        "position_ids": torch.tensor([positions], device=device),
        "logits_to_keep": torch.tensor(logit_rows, device=device),
        "use_cache": False,
    }
    with torch.inference_mode():
        logits: Tensor = model(**inputs).logits[0]
    return logits.float()
