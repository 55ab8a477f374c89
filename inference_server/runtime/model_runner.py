"""Forward passes over cached prompts."""

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
from inference_server.attention.weights import WeighingPass
from inference_server.gpu.cuda_graph import free_bytes, recorder
from inference_server.gpu.graph_runner import GraphRunner, spare_blocks
from inference_server.interruption import Interruption
from inference_server.kvcache.block_pool import BlockPool
from inference_server.kvcache.kv_blocks import KVBlocks, Layout, TokenKVBlocks, whole_runs
from inference_server.kvcache.radix_cache import BlockTable, RadixCache
from inference_server.stats import KVCacheStats


class DecodeStep(Protocol):
    """A faster way through some batches."""

    def fits(self, batch: Batch) -> bool:
        """Whether `run` can compute the batch."""
        ...

    def run(self, batch: Batch, interruption: Interruption | None = None) -> Tensor:
        """Logits (rows, vocabulary) as from the pass layer by layer; caches keys and values.

        May raise Interrupted, or be too quick for that.
        """
        ...


class TracedStep(DecodeStep, Protocol):
    """One that can tell what it goes through."""

    def trace(self, batch: Batch, interruption: Interruption | None = None) -> tuple[Tensor, Tensor]:
        """As `run`, with the last row's embedding, and of each layer what its attention adds and the state after."""
        ...


class ModelRunner:
    """All new tokens of all prompts in one pass, over blocks shared by prefix. One thread at a time."""

    def __init__(
        self,
        model: PreTrainedModel,
        layout: Layout,
        cache_bytes: int,
        *,
        compiled: bool = False,
        fused: bool = False,
        graphs: bool = False,
    ) -> None:
        """`model` uses the paged attention. Blocks take at most `cache_bytes`. Raises ValueError if that is too few.

        `compiled` uses compiled attention, `fused` one compiled pass for steps of few tokens; both are for CPUs.
        `graphs` uses steps of fixed shapes, captured on a GPU. Raises an exception of any kind if these don't fit.
        """
        self._model = model
        block_bytes, block_size = layout.block_bytes, layout.block_size
        spare = spare_blocks(block_size) if graphs else 0
        blocks = whole_runs(cache_bytes // block_bytes - spare)
        if blocks < 1:
            raise ValueError(f"{cache_bytes} bytes of cache hold no block of {block_bytes} bytes")
        self.store = (TokenKVBlocks if graphs else KVBlocks)(layout, blocks + spare, model.device)
        self.pool = BlockPool(self.store.numbers[:blocks], block_size)
        self.tree = RadixCache(self.pool, self.store.copy_block)
        self._rows = _row_attention(self.store) if compiled else None
        self._step: DecodeStep | None = None
        self._traced: TracedStep | None = None
        self._trails: list[Tensor] | None = None  # where traces go; None: nothing is traced
        self._weights: dict[int, Tensor] | None = None
        if fused:
            self._step = self._traced = _fused_step(model, self.store)
        elif isinstance(self.store, TokenKVBlocks):
            free = partial(free_bytes, model.device)
            self._step = GraphRunner(model, self.store, blocks, recorder(model.device), free)

    @property
    def compiled(self) -> bool:
        """Whether batches of single tokens take compiled attention."""
        return self._rows is not None

    @property
    def fused(self) -> bool:
        """Whether steps of few tokens take the compiled pass."""
        return self._step is not None and not self.uses_graphs

    @property
    def uses_graphs(self) -> bool:
        """Whether steps of few tokens take graphs shapes."""
        return isinstance(self._step, GraphRunner)

    @property
    def interruptible(self) -> bool:
        """Whether an interruption ends a pass: a GPU has been given all of it by then."""
        return self._model.device.type == "cpu"

    @property
    def stats(self) -> KVCacheStats:
        """From any thread."""
        tree, pool = self.tree, self.pool
        return KVCacheStats(
            tree.hit_tokens,
            tree.evicted_blocks,
            pool.used,
            pool.total,
            self.store.block_bytes,
            tree.open_prompts,
            tree.stray_holds,
        )

    @property
    def capacity(self) -> int:
        """The most tokens that can be cached."""
        return self.pool.total * self.pool.block_size

    def open(self, token_ids: Sequence[int]) -> BlockTable:
        """The longest cached prefix of `token_ids`, pinned until closed."""
        return self.tree.match_prefix(token_ids)

    def close(self, table: BlockTable) -> None:
        """Unpins a prompt, so that it can be evicted."""
        self.tree.close(table)

    def prepare(self) -> None:
        """Does at load what would slow down the first requests."""
        if isinstance(self._step, GraphRunner):
            self._step.prepare()

    def run(self, segments: Sequence[Segment], interruption: Interruption | None = None) -> Tensor:
        """Logits (rows of all segments in order, vocabulary) in float32, on the CPU; the new tokens are then cached.

        Each segment needs its own block table and at least one token. Raises CacheFull before computing anything, and
        Interrupted; after any exception the tables can be used again or closed.
        """
        logits = self.compute(segments, interruption).cpu()
        rows = logits.split([segment.rows for segment in segments])
        self.settle(segments, [bool(np.isnan(each.numpy().max())) for each in rows])
        return logits

    def compute(self, segments: Sequence[Segment], interruption: Interruption | None = None) -> Tensor:
        """As `run`, on the model's device, whose work nothing here waits for; `settle` has to follow."""
        for segment in segments:
            if not segment.alternatives:
                self.tree.allocate(segment.table, len(segment.token_ids))
            elif segment.keep:
                self.tree.allocate_alternatives(segment.table, segment.token_ids)
        batch = Batch(segments, self.pool.block_size, self._model.device)
        if self._step is not None and self._step.fits(batch):
            if self._trails is None:
                return self._step.run(batch, interruption)
            if self._traced is not None and self._weights is None:
                logits, trail = self._traced.trace(batch, interruption)
                self._trails.append(trail)
                return logits
        with running(self._pass(batch, self.store, interruption)):
            return forward(self._model, batch.token_ids, batch.positions, batch.logit_rows)

    def settle(self, segments: Sequence[Segment], broken: Sequence[bool]) -> None:
        """Makes computed tokens available to others, except those of segments whose logits have a NaN."""
        for segment, has_nan in zip(segments, broken, strict=True):
            if has_nan:
                self._forget(segment)
            elif not segment.alternatives:
                self.tree.insert(segment.table, segment.token_ids)
            elif segment.keep:
                segment.table.alternatives = list(segment.token_ids)

    def _forget(self, segment: Segment) -> None:
        """Clears tokens of a pass that gave NaN; any of them may have NaN in its keys or values."""
        table, size = segment.table, self.pool.block_size
        blocks, first = (table.alternative_blocks, 0) if segment.alternatives else (table.blocks, len(table))
        written = len(segment.token_ids) if segment.keep or not segment.alternatives else 0
        for at in range(first, first + written):
            self.store.clear_slot((blocks[at // size], at % size))

    def adopt(self, table: BlockTable, token_id: int) -> BlockTable | None:
        """The prompt extended by one of its alternatives, without computing anything; None if it isn't one of them."""
        if token_id not in table.alternatives:
            return None
        size = self.pool.block_size
        at = table.alternatives.index(token_id)
        longer = self.tree.fork(table)
        try:
            self.tree.allocate(longer, 1)
        except Exception:
            self.tree.close(longer)
            raise
        last = len(table)
        source = table.alternative_blocks[at // size], at % size
        self.store.copy_slot(source, (longer.blocks[last // size], last % size))
        self.tree.insert(longer, [token_id])
        return longer

    @contextmanager
    def uncached(self, tokens: int) -> Iterator[None]:
        """Within, the model itself computes a whole prompt of that many tokens; no block is read or written."""
        prompt = [0] * tokens  # only its length matters
        with running(self._pass(Batch([Segment(BlockTable(blocks=[0]), prompt)], tokens, self._model.device), None)):
            yield

    @contextmanager
    def tracing(self, weights: dict[int, Tensor] | None) -> Iterator[list[Tensor]]:
        """Within, passes go through the model's own layers, or add what TracedStep.trace tells to the list.

        `weights`, if given, gets the attention weights of the last token, as in WeighingPass.
        """
        self._trails, self._weights = [], weights
        try:
            yield self._trails
        finally:
            self._trails, self._weights = None, None

    def _pass(self, batch: Batch, store: KVBlocks | None, interruption: Interruption | None = None) -> Pass:
        if self._weights is not None:
            return WeighingPass(batch, store, self._weights)
        return Pass(batch, store, None if store is None else self._rows, interruption)


def _row_attention(store: KVBlocks) -> Rows:
    from inference_server.cpu.paged_attention import CompiledAttention  # here, since it needs numba

    return CompiledAttention(store)


def _fused_step(model: PreTrainedModel, store: KVBlocks) -> TracedStep:
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
