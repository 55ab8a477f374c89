"""An executor whose passes take no time: the server's own caches, prefetch and chunks around steps that are only timed.

It follows `inference_server.runtime.executor` and `paged_backend`; what decides there is imported here.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from capacity.load import BARS
from capacity.profile import Profile, Times
from inference_server.host.memory import Shares, divide
from inference_server.kvcache.block_pool import BlockPool, CacheFull
from inference_server.kvcache.logits_cache import LogitsCache
from inference_server.kvcache.radix_cache import BlockTable, RadixCache
from inference_server.runtime.prefetch import Prefetcher
from inference_server.runtime.prefill_chunk import PrefillChunk
from inference_server.scheduler.schedule import Batch
from inference_server.sequence import Ids, Limits, Sequence
from inference_server.settings import Settings

BLOCK = 16  # tokens
OWNER = "model"


@dataclass(frozen=True, slots=True)
class Logits:
    """A cached row of logits: its size is all that matters."""

    nbytes: int


class TimedExecutor:
    """One model of one replica."""

    name = OWNER
    batched = True

    def __init__(self, profile: Profile, settings: Settings, times: Times, cache: Shares | None = None) -> None:
        """`cache`: its memory, if not what the settings say."""
        shares = cache or divide(settings.cache_mb << 20, others=1)
        self.times = times
        self.logits: LogitsCache[Logits] = LogitsCache(shares.distributions)
        blocks = max(1, shares.stored_by_each // (profile.token_bytes * BLOCK))
        self.tree = RadixCache(BlockPool(range(blocks), BLOCK), lambda source, target: None)
        self._capacity = blocks * BLOCK
        self.prompts = self.prefetch_hits = 0
        self._row = Logits(profile.logits_bytes)
        self._prefetcher = Prefetcher[BlockTable]()
        self._lookahead = min(settings.lookahead, BARS)
        step_tokens, step_s = min(settings.step_tokens, settings.batch_tokens), settings.step_ms / 1e3
        self._prefill, self._score = PrefillChunk(step_tokens, step_s), PrefillChunk(step_tokens, step_s)
        self._tables: dict[Sequence[Any], tuple[BlockTable, bool]] = {}
        self._alike: dict[Ids, list[Sequence[Any]]] = {}

    @property
    def limits(self) -> Limits:
        """Of the next step."""
        return Limits(self._prefill.tokens, self._score.tokens)

    def remember(self, ids: Ids) -> None:
        """A prompt that was computed before the simulation began."""
        table = self.tree.match_prefix(ids)
        with suppress(CacheFull):
            self.tree.allocate(table, len(ids) - len(table))
            self.tree.insert(table, ids[len(table) :])
        self.tree.close(table)

    def recall(self, sequence: Sequence[Any]) -> Callable[[], object] | None:
        """As sequence.Executor.recall."""
        if sequence.alone or self.logits.recall(OWNER, sequence.token_ids) is None:
            return None
        return lambda: self._answer_known([sequence])

    def match(self, sequences: list[Sequence[Any]]) -> list[Sequence[Any]]:
        """Answers what is cached; the rest, each prompt once."""
        self._alike = {}
        for sequence in sequences:
            self._alike.setdefault(sequence.token_ids, []).append(sequence)
        missing = [alike[0] for alike in self._alike.values() if not self._answer_cached(alike)]
        for sequence in missing:
            self._open(sequence)
        return missing

    def begin(self, batch: Batch) -> tuple[Batch, float]:
        """Makes room for a step: what of it fits, and how long that takes."""
        while not self._allocate(batch):
            dropped = self._prefetcher.clear()
            for table in dropped:
                self.tree.close(table)
            if not dropped:
                if len(batch) == 1:
                    batch[0][0].single_pass = True
                batch = batch[:1]
            self.release()
            for sequence, _ in batch:
                self._open(sequence)
            batch = [(sequence, min(count, sequence.remaining)) for sequence, count in batch]
        first, size = batch[0]
        if first.single_pass:
            return [(first, len(first.token_ids))], self.times.prefill_s(len(first.token_ids))
        if first.every_row:
            return batch, self.times.score_s(size)
        tokens = sum(count for _, count in batch)
        if tokens == len(batch):
            return batch, self.times.click_s(len(batch))
        return batch, self.times.prefill_s(tokens)

    def execute(self, batch: Batch, seconds: float = 0.0) -> None:
        """A step is done that took so long: what it computed is cached, and complete prompts are answered."""
        first, _ = batch[0]
        tokens = sum(count for _, count in batch)
        if not first.single_pass and (first.rowwise or tokens > len(batch)):
            (self._score if first.rowwise else self._prefill).took(tokens, seconds)
        for sequence, count in batch:
            self._receive(sequence, count)
        self.release()

    def release(self) -> None:
        """Unpins what `match` found."""
        for table, _ in self._tables.values():
            self.tree.close(table)
        self._tables.clear()

    def next_to_prefetch(self) -> Ids | None:
        """The newest prompt without a prefetch; None if there is none."""
        return self._prefetcher.next()

    def begin_prefetch(self, ids: Ids) -> BlockTable | None:
        """Makes room for what may follow a prompt; None, without a pass, if it is no longer cached itself."""
        table = self.tree.match_prefix(ids)
        try:
            if self.logits.get(OWNER, ids, counted=False) is None or len(table) < len(ids):
                self.tree.close(table)
                return None
            self.tree.allocate_alternatives(table, range(self._lookahead))
        except CacheFull:
            self.tree.close(table)
            return None
        return table

    def end_prefetch(self, ids: Ids, table: BlockTable) -> None:
        """The pass is done: caches what may follow."""
        for choice in range(self._lookahead):
            self.logits.put(OWNER, (*ids, choice), self._row)
        self._prefetcher.ready(ids, range(self._lookahead), table)

    def _answer_cached(self, alike: list[Sequence[Any]]) -> bool:
        first = alike[0]
        if first.alone or self.logits.get(OWNER, first.token_ids, counted=first.num_computed_tokens == 0) is None:
            return False
        self._answer_known(alike)
        return True

    def _answer_known(self, alike: list[Sequence[Any]]) -> None:
        prefetched = self._adopt(alike[0].token_ids)
        for sequence in alike:
            sequence.prefetched = prefetched
        self._answer(alike)

    def _adopt(self, ids: Ids) -> bool:
        table = self._prefetcher.behind(ids)
        if table is None:
            return False
        longer = self.tree.fork(table)
        with suppress(CacheFull):
            self.tree.allocate(longer, 1)
            self.tree.insert(longer, ids[-1:])
        self.tree.close(longer)
        return True

    def _open(self, sequence: Sequence[Any]) -> None:
        ids, done = sequence.token_ids, len(sequence.outputs)
        sequence.single_pass |= len(ids) > self._capacity or sequence.recomputed
        if sequence.single_pass:
            sequence.num_cached_tokens = 0
            return
        table = self.tree.match_prefix(ids[:done] if sequence.every_row else ids)
        again = not sequence.every_row and len(table) == len(ids)
        if again:
            self.tree.close(table)
            table = self.tree.match_prefix(ids[:-1])
        self._tables[sequence] = table, again
        sequence.num_cached_tokens = len(table)

    def _allocate(self, batch: Batch) -> bool:
        try:
            for sequence, count in batch:
                if sequence in self._tables and not self._tables[sequence][1]:
                    self.tree.allocate(self._tables[sequence][0], count)
        except CacheFull:
            return False
        return True

    def _receive(self, sequence: Sequence[Any], count: int) -> None:
        ids, alike = sequence.token_ids, self._alike[sequence.token_ids]
        if sequence.single_pass:
            sequence.outputs[:] = [None] * (len(ids) if sequence.every_row else 1)
            return
        table, again = self._tables[sequence]
        start = len(table)
        if not again:
            self.tree.insert(table, ids[start : start + count])
        for each in alike:
            each.num_computed_tokens += count
        if sequence.every_row:
            fresh = min(start + count, len(ids)) - len(sequence.outputs)
            sequence.outputs.extend([None] * max(0, fresh))
        elif again or start + count == len(ids):
            self._answer(alike)
            self.logits.put(OWNER, ids, self._row)

    def _answer(self, alike: list[Sequence[Any]]) -> None:
        for sequence in alike:
            sequence.outputs.append(None)
            self.prompts += 1
            self.prefetch_hits += sequence.prefetched
            if sequence.prefetch:
                for table in self._prefetcher.expect(sequence.token_ids):
                    self.tree.close(table)
