"""What follows each of many prompts, step by step and no token computed twice. Knows neither requests nor torch.

A step is one forward pass. Between two steps of a prompt nothing of it is in use: the next one finds what is stored
of it. So a prompt that nobody wants any more needs no clearing up, and its beginning serves whoever comes next.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from inference_server.attention.batch import Segment
from inference_server.kvcache.block_pool import CacheFull
from inference_server.kvcache.logits_cache import LogitsCache
from inference_server.kvcache.radix_cache import BlockTable
from inference_server.runtime.hf_cache import HFCache
from inference_server.runtime.model import LOGITS_BYTES, Model
from inference_server.runtime.model_runner import ModelRunner
from inference_server.runtime.prefetch import Prefetcher
from inference_server.runtime.prefill_chunk import PrefillChunk
from inference_server.sequence import Ids, Reading, Scoring
from inference_server.stats import ModelStats

T = TypeVar("T")

PATIENCE = 2  # times a prompt's length that may be computed of it, where others evict it, before it goes unstored


class Executor:
    """One model, the distributions kept of it, and its stored prompts. One thread at a time."""

    def __init__(self, model: Model, kept: LogitsCache[Any], step_tokens: int, step_s: float) -> None:
        """A step takes about `step_s` seconds and `step_tokens` tokens at most, unless a prompt can't be cut."""
        self._model = model
        self._kept = kept
        self._pace = PrefillChunk(step_tokens, step_s)
        self._score_pace = PrefillChunk(step_tokens, step_s)
        self._ahead = Prefetcher[BlockTable]()
        self.prompts = 0  # answered
        self.lookahead_hits = 0
        self.lookahead_passes = 0
        self.computed_tokens = 0

    def step(self, readings: Sequence[Reading]) -> None:
        """Answers from memory what it can, and takes the others a step further: single tokens first, then in order."""
        leaders: dict[Ids, Reading] = {}
        for reading in readings:
            leaders.setdefault(reading.ids, reading)
        missing = [reading for reading in leaders.values() if not self._remember(reading)]
        if missing:
            self._compute(missing)
        for reading in readings:
            leader = leaders[reading.ids]
            reading.logits, reading.cached_tokens = leader.logits, leader.cached_tokens
            reading.looked_ahead = leader.looked_ahead
            if reading.logits is not None:
                self.prompts += 1
                self.lookahead_hits += reading.looked_ahead

    @property
    def gauges(self) -> ModelStats:
        """What is counted, from any thread."""
        held = self._model.runner or self._model.states
        store = None if held is None else held.gauges
        return ModelStats(self.prompts, self.lookahead_hits, self.lookahead_passes, self.computed_tokens, store)

    def expect(self, ids: Ids) -> None:
        """A prompt's answer has gone out: one of its likeliest tokens may be asked for next."""
        runner = self._model.runner
        if runner is not None and len(ids) < self._model.context_limit:
            for held in self._ahead.expect(ids):
                runner.close(held)

    def look_ahead(self, choose: Callable[[Any], Sequence[int]]) -> bool:
        """Computes what follows the tokens that `choose` takes from the newest answer's logits; says if it did."""
        runner, plan = self._model.runner, self._ahead.next()
        if runner is None or plan is None:
            return False
        logits = self._kept.get(self, plan.ids, counted=False)
        stored = runner.open(plan.ids)
        self._ahead.drop(plan)
        try:
            if logits is None or len(stored) < len(plan.ids):  # evicted since: not worth a pass of its own
                runner.close(stored)
                return True
            choices = choose(logits)
            rows = runner.run([Segment(stored, choices, alternatives=True, keep=True)])
            for choice, row in zip(choices, rows, strict=True):
                self._kept.put(self, (*plan.ids, choice), row.clone())
        except CacheFull:
            runner.close(stored)
            return True
        except BaseException:
            runner.close(stored)
            raise
        self.lookahead_passes += 1
        self._ahead.ready(plan, choices, stored)
        return True

    def step_score(self, scoring: Scoring[T]) -> None:
        """Takes a score a step further."""
        runner, ids = self._model.runner, scoring.ids
        if runner is not None and not self._unstored(runner, scoring):
            at = len(scoring.told)
            stored, size, began = runner.open(ids[:at]), self._score_pace.tokens, time.monotonic()
            try:
                if len(stored) < at:  # evicted since
                    segment = Segment(stored, ids[len(stored) : min(at, len(stored) + size)])
                else:
                    rows = max(1, LOGITS_BYTES // (4 * self._model.vocab_size))
                    segment = Segment(stored, ids[at : at + min(rows, size)], every_row=True)
                logits = runner.run([segment])
                scoring.computed += len(segment.token_ids)
                self.computed_tokens += len(segment.token_ids)
                if segment.every_row:
                    scoring.told += scoring.describe(at, logits)
                self._score_pace.took(len(segment.token_ids), time.monotonic() - began)
            except CacheFull:
                pass
            else:
                return
            finally:
                runner.close(stored)
            if self._give_way(runner):
                self.step_score(scoring)
                return
        self.computed_tokens += len(ids)
        scoring.told[:] = self._model.map_logits(scoring.describe, ids)

    def _remember(self, reading: Reading) -> bool:
        reading.logits = self._kept.get(self, reading.ids, counted=reading.computed == 0)
        if reading.logits is None:
            return False
        reading.cached_tokens = max(0, len(reading.ids) - reading.computed)
        self._adopt(reading)
        return True

    def _adopt(self, reading: Reading) -> None:
        """Stores a prompt's last token for good where it was looked ahead of."""
        held, runner = self._ahead.behind(reading.ids), self._model.runner
        if held is None or runner is None:
            return
        reading.looked_ahead = True
        try:
            adopted = runner.adopt(held, reading.ids[-1])
        except CacheFull:
            return
        if adopted is not None:
            runner.close(adopted)

    def _compute(self, missing: Sequence[Reading]) -> None:
        runner = self._model.runner
        if runner is None and self._model.states is not None:
            for reading in missing:
                self._go_on(self._model.states, reading)
            return
        if runner is None:
            self._compute_whole(missing[0])
            return
        if self._unstored(runner, missing[0]):  # its turn; beside others that take many steps it would wait for good
            self._compute_whole(missing[0])
            return
        parts = [(each, self._open(runner, each)) for each in missing if not self._unstored(runner, each)]
        chosen = choose(parts, self._pace.tokens)
        ends = [len(part.stored) + len(part.token_ids) == len(reading.ids) for reading, part in chosen]
        began = time.monotonic()
        try:
            rows = runner.run([part for _, part in chosen])
        except CacheFull:
            rows = None
        finally:
            for _, part in parts:
                runner.close(part.stored)
        if rows is None and self._give_way(runner):
            self._compute(missing)
        elif rows is None and len(chosen) > 1:
            self._compute([chosen[0][0]])
        elif rows is None:
            self._compute_whole(chosen[0][0])
        else:
            size = sum(len(part.token_ids) for _, part in chosen)
            if size > len(chosen):  # clicks alone are no measure of longer parts
                self._pace.took(size, time.monotonic() - began)
            for (reading, part), row, end in zip(chosen, rows, ends, strict=True):
                reading.computed += len(part.token_ids)
                self.computed_tokens += len(part.token_ids)
                if end:
                    self._keep(reading, row.clone() if len(chosen) > 1 else row)

    def _go_on(self, states: HFCache, reading: Reading) -> None:
        """Takes a prompt a step further from the model's own caches; all of it where others evict it time and again."""
        size, began = len(reading.ids), time.monotonic()
        most = self._pace.tokens if reading.computed <= PATIENCE * size else size
        count, logits = states.advance(reading.ids, most)
        reading.computed += count
        self.computed_tokens += count
        if count > 1:
            self._pace.took(count, time.monotonic() - began)
        if logits is not None:
            self._keep(reading, logits)

    def _open(self, runner: ModelRunner, reading: Reading) -> Segment:
        """What is left to compute of a prompt: at least its last token, which is not stored again where it is."""
        ids = reading.ids
        stored = runner.open(ids)
        again = len(stored) == len(ids)
        if again:
            runner.close(stored)
            stored = runner.open(ids[:-1])
        return Segment(stored, ids[len(stored) :], alternatives=again)

    def _unstored(self, runner: ModelRunner, work: Reading | Scoring[Any]) -> bool:
        """Whether a prompt is computed whole beside the store: it does not fit, or others evict it time and again."""
        return len(work.ids) > runner.capacity or work.computed > PATIENCE * len(work.ids)

    def _give_way(self, runner: ModelRunner) -> bool:
        """Lets go of what is only guessed; says whether anything was."""
        guessed = len(self._ahead) > 0
        for held in self._ahead.clear():
            runner.close(held)
        return guessed

    def _compute_whole(self, reading: Reading) -> None:
        reading.computed = len(reading.ids)
        self.computed_tokens += len(reading.ids)
        self._keep(reading, self._model.last_logits(reading.ids))

    def _keep(self, reading: Reading, logits: Any) -> None:
        reading.logits = logits
        reading.cached_tokens = max(0, len(reading.ids) - reading.computed)
        self._kept.put(self, reading.ids, logits)


def choose(parts: Sequence[tuple[T, Segment]], step_tokens: int) -> list[tuple[T, Segment]]:
    """What one step computes: the single tokens if there are any, else as much of the parts as the step holds.

    Half of the step is the oldest part's. The rest goes in order, but first to parts that fit into a step.
    """
    singles = [(of, part) for of, part in parts if len(part.token_ids) == 1]
    if singles:
        return singles
    lengths = [len(part.token_ids) for _, part in parts]
    counts = [min(lengths[0], -(-step_tokens // 2)), *[0] * (len(parts) - 1)]
    for place in sorted(range(len(parts)), key=lambda place: lengths[place] > step_tokens):
        counts[place] += min(lengths[place] - counts[place], step_tokens - sum(counts))
    return [
        (of, replace(part, token_ids=part.token_ids[:count]))
        for (of, part), count in zip(parts, counts, strict=True)
        if count
    ]
