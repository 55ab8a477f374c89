"""Sequences over cached blocks: several in one pass, with a prefetch of their likely next tokens."""

from collections.abc import Callable
from collections.abc import Sequence as Tokens
from typing import Any

from torch import Tensor

from inference_server.attention.batch import Segment
from inference_server.kvcache.block_pool import CacheFull
from inference_server.kvcache.radix_cache import BlockTable
from inference_server.runtime.backends import Receive, compute_whole, watching
from inference_server.runtime.lens import Lens
from inference_server.runtime.model_runner import ModelRunner
from inference_server.runtime.prefetch import Prefetcher
from inference_server.runtime.whole_pass import WholePass
from inference_server.sequence import Ids, Sequence
from inference_server.stats import KVCacheStats


class PagedBackend:
    """One model runner, the blocks of the current step's sequences, and those of prefetched tokens."""

    batched = True

    def __init__(
        self, runner: ModelRunner, whole_pass: WholePass, context_limit: int, lens: Lens | None = None
    ) -> None:
        """`lens` is for traces."""
        self.runner = runner
        self.prefetcher = Prefetcher[BlockTable]()
        self._whole_pass = whole_pass
        self._lens = lens
        self._context_limit = context_limit
        self._tables: dict[Sequence[Any], tuple[BlockTable, bool]] = {}
        """Of this step's sequences; True: all of the prompt is cached, and its last token is only computed again."""

    @property
    def interruptible(self) -> bool:
        """As Backend.interruptible."""
        return self.runner.interruptible

    @property
    def stats(self) -> KVCacheStats:
        """As Backend.stats."""
        return self.runner.stats

    def match(self, sequence: Sequence[Any]) -> None:
        """As Backend.match; a single pass is for prompts that don't fit the cache or are evicted time and again."""
        self._close(sequence)
        ids, runner = sequence.token_ids, self.runner
        sequence.num_cached_tokens, sequence.single_pass = 0, len(ids) > runner.capacity or sequence.recomputed
        if sequence.single_pass:
            return
        if sequence.hidden:
            table = runner.open(ids[:-1])
            again = len(table) == len(ids) - 1
        else:
            table = runner.open(ids[: len(sequence.outputs)] if sequence.every_row else ids)
            again = not sequence.every_row and len(table) == len(ids)
        if again and not sequence.hidden:
            runner.close(table)
            table = runner.open(ids[:-1])
        self._tables[sequence] = table, again
        sequence.num_cached_tokens = len(table)

    def execute(self, batch: list[tuple[Sequence[Any], int]], receive: Receive) -> None:
        """As Backend.execute. If the cache is full, prefetched tokens go first, then the other sequences wait."""
        while not batch[0][0].single_pass and not self._run(batch, receive):
            self.release()
            if not self._drop_prefetched():
                if len(batch) == 1:
                    batch[0][0].single_pass = True
                batch = batch[:1]
            for sequence, _ in batch:
                if not sequence.single_pass:
                    self.match(sequence)
        if batch[0][0].single_pass:
            compute_whole(self._whole_pass, batch[0][0], receive)

    def trace(self, sequence: Sequence[Any], receive: Receive) -> None:
        """As Backend.trace, layer by layer over the cached keys and values."""
        trace, weights = sequence.trace, dict[int, Tensor]()
        asked = trace is not None and trace.attention
        with (
            watching(self._lens, trace, len(sequence.token_ids)) as take,
            self.runner.tracing(weights if asked else None) as trails,
        ):
            self.execute([(sequence, sequence.remaining)], receive)
        for trail in trails:
            take(trail[::2], dict(enumerate(trail[1::2], 1)))
        if trace is not None and asked:
            trace.weights = [weights[layer].tolist() for layer in sorted(weights)]

    def release(self) -> None:
        """As Backend.release."""
        for sequence in list(self._tables):
            self._close(sequence)

    def expect(self, ids: Ids) -> None:
        """As Backend.expect."""
        if len(ids) < self._context_limit:
            for table in self.prefetcher.expect(ids):
                self.runner.close(table)

    def next_to_prefetch(self) -> Ids | None:
        """As Backend.next_to_prefetch."""
        return self.prefetcher.next()

    def prefetch(self, ids: Ids, choices: Tokens[int], keep: Callable[[int, Tensor], object]) -> bool:
        """As Backend.prefetch: all in one pass, each token seeing the prompt and itself."""
        runner, table = self.runner, self.runner.open(ids)
        try:
            if len(table) < len(ids):  # evicted: not worth a pass of its own
                runner.close(table)
                return False
            rows = runner.run([Segment(table, choices, alternatives=True, keep=True)])
            for choice, row in zip(choices, rows, strict=True):
                keep(choice, row.clone())
        except CacheFull:
            runner.close(table)
            return False
        except BaseException:
            runner.close(table)
            raise
        self.prefetcher.ready(ids, choices, table)
        return True

    def adopt(self, ids: Ids) -> bool:
        """As Backend.adopt."""
        table = self.prefetcher.behind(ids)
        if table is None:
            return False
        try:
            adopted = self.runner.adopt(table, ids[-1])
        except CacheFull:
            return True
        if adopted is not None:
            self.runner.close(adopted)
        return True

    def prefetched(self, ids: Ids) -> bool:
        """As Backend.prefetched."""
        return self.prefetcher.behind(ids) is not None

    def _run(self, batch: list[tuple[Sequence[Any], int]], receive: Receive) -> bool:
        """One pass; says whether the cache had room for it."""
        segments = [self._segment(sequence, count) for sequence, count in batch]
        ends = [len(segment.table) + len(segment.token_ids) for segment in segments]
        try:
            rows = self.runner.run(segments, batch[0][0].interruption)
        except CacheFull:
            return False
        start = 0
        for (sequence, _), segment, end in zip(batch, segments, ends, strict=True):
            own = rows[start : start + segment.rows]
            start += segment.rows
            ready = (
                segment.every_row or (end == len(sequence.token_ids) and not sequence.rowwise) or bool(segment.hidden)
            )
            receive(sequence, len(segment.token_ids), own if ready else None)
        return True

    def _segment(self, sequence: Sequence[Any], count: int) -> Segment:
        """The next tokens of a sequence. Evicted ones of a score give no rows: those are described already."""
        table, again = self._tables[sequence]
        if sequence.hidden and again:
            done = len(sequence.outputs)
            hidden = sequence.hidden[done : done + count]
            return Segment(table, sequence.token_ids[-1:] * len(hidden), alternatives=True, hidden=hidden)
        ids = sequence.token_ids[len(table) : len(table) + min(count, sequence.remaining)]
        every_row = sequence.every_row and len(table) == len(sequence.outputs)
        return Segment(table, ids, alternatives=again, every_row=every_row)

    def _drop_prefetched(self) -> bool:
        """Says whether there was anything to drop."""
        dropped = len(self.prefetcher) > 0
        for table in self.prefetcher.clear():
            self.runner.close(table)
        return dropped

    def _close(self, sequence: Sequence[Any]) -> None:
        if sequence in self._tables:
            self.runner.close(self._tables.pop(sequence)[0])
