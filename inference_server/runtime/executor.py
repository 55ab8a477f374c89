"""Computes one model's sequences: from the logits cache if possible, else in the model's own way.

Between two steps of a sequence nothing is reserved for it: the next one searches the cache again. So a sequence that
nobody wants any more needs no clean-up, and what was computed of it serves the next prompt that begins alike.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from collections.abc import Sequence as Tokens
from functools import partial
from typing import Any

from torch import Tensor

from inference_server.kvcache.logits_cache import LogitsCache
from inference_server.runtime.backends import Backend, HFCacheBackend, WholePassBackend
from inference_server.runtime.model import Model
from inference_server.runtime.paged_backend import PagedBackend
from inference_server.runtime.prefill_chunk import AIM, FEWEST, PrefillChunk
from inference_server.sequence import BACKGROUND, Ids, Limits, Sequence, Trace
from inference_server.stats import ModelStats


class Executor:
    """One model, its cached logits and its backend. One thread at a time, unless stated otherwise."""

    def __init__(self, name: str, model: Model, cache: LogitsCache[Any], step_tokens: int, step_s: float) -> None:
        """A step takes about `step_s` seconds and at most `step_tokens` tokens, unless a prompt can't be split."""
        self.name = name
        self.model = model
        self.cache = cache
        self.backend = _backend(model)
        self.prompts = 0  # answered, so far
        self.prefetch_hits = 0
        self.prefetch_passes = 0
        self.computed_tokens = 0
        self._step_s = step_s
        self._prefill = PrefillChunk(step_tokens, step_s)
        self._score = PrefillChunk(step_tokens, step_s)
        self._background = PrefillChunk(step_tokens, step_s / BACKGROUND, FEWEST, first=FEWEST)
        self._head = PrefillChunk(step_tokens, step_s)
        self._alike: dict[Ids, list[Sequence[Any]]] = {}  # this step's sequences by prompt
        self._recalled: deque[Ids] = deque()  # answered beside since the last step
        self._counting = threading.Lock()

    @property
    def batched(self) -> bool:
        """Whether several sequences may share a step."""
        return self.backend.batched

    @property
    def limits(self) -> Limits:
        """Of the next step."""
        most = self.model.whole_pass.max_rows
        score, background, head = (min(each.tokens, most) for each in (self._score, self._background, self._head))
        return Limits(self._prefill.tokens, score, background, self.backend.interruptible, head)

    @property
    def stats(self) -> ModelStats:
        """From any thread."""
        return ModelStats(
            self.prompts, self.prefetch_hits, self.prefetch_passes, self.computed_tokens, self.backend.stats
        )

    def recall(self, sequence: Sequence[Any]) -> Callable[[], object] | None:
        """As sequence.Executor.recall. From any thread."""
        logits = None if sequence.alone else self.cache.recall(self.model, sequence.token_ids)
        return None if logits is None else partial(self._answer_beside, sequence, logits)

    def match(self, sequences: list[Sequence[Any]]) -> list[Sequence[Any]]:
        """As sequence.Executor.match."""
        self._catch_up()
        self._alike = {}
        for sequence in sequences:
            self._alike.setdefault(sequence.token_ids, []).append(sequence)
        missing = [alike[0] for alike in self._alike.values() if not self._answer_cached(alike)]
        for sequence in missing:
            if sequence.work is None and (sequence.trace is None or sequence.trace.states is None):
                self.backend.match(sequence)
        return missing

    def execute(self, batch: list[tuple[Sequence[Any], int]]) -> None:
        """As sequence.Executor.execute."""
        first, size = batch[0]
        if first.work is not None:
            if (found := first.work.step(AIM * self._step_s / BACKGROUND, first.interruption)) is not None:
                first.receive(found)
            return
        before, began = self.computed_tokens, time.monotonic()
        if first.trace is not None and first.trace.states is not None:
            self._describe(first, first.trace, size)
            self._head.took(size, time.monotonic() - began)
            return
        if first.trace is not None and size == first.remaining:
            self.backend.trace(first, self._receive)
            return
        self.backend.execute(batch, self._receive)
        count = self.computed_tokens - before
        if not first.single_pass and (first.rowwise or count > len(batch)):  # clicks say nothing of longer chunks
            short = all(each.background for each, _ in batch) and count <= self._background.tokens
            chunk = self._background if short else self._score if first.rowwise else self._prefill
            chunk.took(count, time.monotonic() - began)

    def release(self) -> None:
        """As sequence.Executor.release."""
        self.backend.release()

    def prefetch(self, choose: Callable[[Any], Tokens[int]]) -> bool:
        """Computes the logits after the tokens that `choose` picks from an answer's logits, the newest answer's first.

        Says whether there was an answer to prefetch for.
        """
        self._catch_up()
        ids = self.backend.next_to_prefetch()
        if ids is None:
            return False
        logits = self.cache.get(self.model, ids, counted=False)
        if logits is None:  # evicted
            return True
        choices = choose(logits)
        self.prefetch_passes += self.backend.prefetch(
            ids, choices, lambda token, row: self.cache.put(self.model, (*ids, token), row)
        )
        return True

    def _answer_cached(self, alike: list[Sequence[Any]]) -> bool:
        """Answers equal prompts from the logits cache; says whether it could."""
        first = alike[0]
        if first.alone:
            return False
        logits = self.cache.get(self.model, first.token_ids, counted=first.num_computed_tokens == 0)
        if logits is None:
            return False
        prefetched = self.backend.adopt(first.token_ids)
        for sequence in alike:
            sequence.prefetched = prefetched
        self._answer(alike, logits)
        return True

    def _receive(self, sequence: Sequence[Any], count: int, rows: Tensor | None) -> None:
        """So many tokens of a sequence were computed, and these are the logits (n, V) it was waiting for."""
        self.computed_tokens += count
        alike = self._alike[sequence.token_ids]
        for each in alike:
            each.num_computed_tokens += count
        if rows is None:
            return
        if sequence.rowwise:
            sequence.receive(rows)
        elif sequence.trace is not None:
            sequence.trace.logits = rows[0]
        else:
            self._answer(alike, rows[0])
            if not all(each.one_of_many for each in alike):
                self.cache.put(self.model, sequence.token_ids, _apart(rows[0]))

    def _describe(self, sequence: Sequence[Any], trace: Trace, count: int) -> None:
        """The next states of a trace through the head; the last one's logits are the model's own."""
        first, last = len(sequence.outputs), trace.rows - 1
        if first < last and self.model.lens is not None:
            sequence.receive(self.model.lens.logits(trace.states[first : min(first + count, last)]))
        if first + count > last:
            sequence.receive(trace.logits[None])

    def _answer(self, alike: list[Sequence[Any]], logits: Tensor) -> None:
        for sequence in alike:
            self._describe_last(sequence, logits)
            if sequence.prefetch:
                self.backend.expect(sequence.token_ids)

    def _answer_beside(self, sequence: Sequence[Any], logits: Tensor) -> None:
        """Answers from cached logits, on any thread."""
        sequence.prefetched = self.backend.prefetched(sequence.token_ids)
        self._describe_last(sequence, logits)
        if sequence.prefetch:
            self._recalled.append(sequence.token_ids)

    def _catch_up(self) -> None:
        """Does what follows from the answers that were given beside."""
        while self._recalled:
            ids = self._recalled.popleft()
            self.backend.adopt(ids)
            self.backend.expect(ids)

    def _describe_last(self, sequence: Sequence[Any], logits: Tensor) -> None:
        sequence.receive(logits[None])
        with self._counting:
            self.prompts += 1
            self.prefetch_hits += sequence.prefetched


def _apart(row: Tensor) -> Tensor:
    """A row that holds no others' memory."""
    return row if row.untyped_storage().nbytes() == row.nbytes else row.clone()


def _backend(model: Model) -> Backend:
    if model.runner is not None:
        return PagedBackend(model.runner, model.whole_pass, model.capabilities.context_limit, model.lens)
    if model.hf_cache is not None:
        return HFCacheBackend(model.hf_cache, model.whole_pass, model.lens)
    return WholePassBackend(model.whole_pass, model.lens)
