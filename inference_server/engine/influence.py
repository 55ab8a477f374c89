"""Which parts of a prompt push a token: its log-odds without each of them, by one of three methods.

hide: the last position does not look at the part. take_out: the prompt is edited and computed anew, guided by hide.
gradient: gradient times input. Knows neither torch nor what the changes mean to people; docs/explain.md says that.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from inference_server.engine import ranks
from inference_server.engine.computing import Computing
from inference_server.engine.influence_checks import check_influence
from inference_server.engine.units import units
from inference_server.errors import InvalidField
from inference_server.influence_messages import (
    InfluenceChange,
    InfluenceEnd,
    InfluenceEvents,
    InfluenceQuery,
    InfluenceStart,
    InfluenceUnit,
)
from inference_server.messages import Client, Timings
from inference_server.runtime.backends import UNHIDABLE
from inference_server.runtime.executor import Executor
from inference_server.runtime.model import Model
from inference_server.sampling.distribution import Distribution
from inference_server.sampling.log_odds import log_odds
from inference_server.scheduler.scheduler import Scheduler
from inference_server.sequence import Ids, Permit
from inference_server.settings import Settings
from inference_server.tokenizer.tokenizer import ModelTokenizer

ABREAST = 4  # edited prompts in progress at a time: enough to share passes, few enough to let a click in
GROUP = 128  # hidden parts at a time: their changes are sent before the next ones are computed
DISAGREEMENT = 0.5  # rank correlation below which two methods tell different stories
COARSE = "sentence"
AROUND = 0.1  # how much of the change without its sentence speaks for a word


class Influence:
    """One question about a prompt of at least one token."""

    def __init__(
        self,
        query: InfluenceQuery,
        ids: Ids,
        tokenizer: ModelTokenizer,
        computing: Computing,
        model: Model,
        max_units: int,
        max_tokens: int,
    ) -> None:
        """Raises InvalidField for more than `max_units` parts. `max_tokens` is the budget if the query has none."""
        if query.target is None:
            raise ValueError("This is a bug: the query was not checked.")
        self._query = query
        self._target = query.target
        self._ids = ids
        self._tokenizer = tokenizer
        self._computing = computing
        self._gradient = model.gradient
        self._hidable = model.runner is not None and len(ids) <= model.runner.capacity
        self._budget = max_tokens if query.budget is None else query.budget
        tokens = tokenizer.spell(ids)
        fine = units(tokens, query.unit)
        coarse = units(tokens, COARSE) if query.method == "take_out" and query.unit != COARSE else []
        spans = [(query.unit, span) for span in fine]
        if len(coarse) > 1:
            spans += [(COARSE, span) for span in coarse if span not in fine]
        if len(spans) > max_units:
            fault = f"{len(spans):,} parts of the prompt; at most {max_units:,} are measured"
            raise InvalidField("unit", f"{fault}. Use larger units, or shorten the text")
        self._units = [
            InfluenceUnit(
                start,
                end,
                kind,
                b"".join(token.bytes for token in tokens[start:end]).decode(errors="replace"),
                is_special=tokens[start].is_special,
                has_first_token=start == 0,
            )
            for kind, (start, end) in spans
        ]
        self._fine = range(len(fine))
        work = sum(len(ids) - (unit.end if query.replace_with is None else unit.start) for unit in self._units)
        self._planned = min(self._budget, work) if query.method == "take_out" else 0
        self._found: dict[str, dict[int, float]] = {}
        """Changes by method and unit."""

    async def events(self) -> InfluenceEvents:
        """The start, each change as it is found, the end."""
        start = await self._start()
        yield start
        method = {"hide": self._hide, "take_out": self._guided, "gradient": self._differentiate}[self._query.method]
        async with aclosing(method(start.log_odds)) as changes:
            async for change in changes:
                self._found.setdefault(change.method, {})[change.unit] = change.log_odds_change
                yield change
        yield self._end()

    async def _start(self) -> InfluenceStart:
        query, ids = self._query, self._ids

        def describe(_: object, rows: Any) -> list[InfluenceStart]:
            distribution = Distribution(rows[0], 1.0)
            asked = [self._target] if query.contrast is None else [self._target, query.contrast]
            token = self._tokenizer.following(ids)
            target, *contrast = (each.candidate(token(each.token_id)) for each in distribution.places(asked))
            (odds,) = log_odds(rows, self._target, query.contrast)
            return [InfluenceStart(len(ids), self._units, odds, target, (*contrast, None)[0], self._planned)]

        (start,) = await self._computing.run(ids, describe)
        if not abs(start.log_odds) < float("inf"):  # false for NaN
            field = "target" if start.target.logprob == float("-inf") else "contrast"
            raise InvalidField(field, "must be a token to which the model gives any probability here")
        return start

    async def _hide(self, before: float) -> AsyncGenerator[InfluenceChange, None]:
        """Every part but the last position itself, which always sees itself."""
        if not self._hidable:
            raise InvalidField("method", UNHIDABLE)
        last = len(self._ids) - 1
        parts = [(at, (unit.start, min(unit.end, last))) for at, unit in enumerate(self._units) if unit.start < last]
        for first in range(0, len(parts), GROUP):
            group = parts[first : first + GROUP]
            spans = [span for _, span in group]
            found = await self._computing.run(self._ids, self._odds, hidden=spans, background=True)
            for (at, _), odds in zip(group, found, strict=True):
                yield InfluenceChange(at, "hide", odds - before)

    async def _guided(self, before: float) -> AsyncGenerator[InfluenceChange, None]:
        """Every part taken out: sentences first, then the finer parts, in the order in which hiding them matters."""
        guide: dict[int, float] = {}
        if self._hidable:  # else the order of the text will do
            async with aclosing(self._hide(before)) as changes:
                async for change in changes:
                    guide[change.unit] = change.log_odds_change
                    yield change
        coarse = range(len(self._fine), len(self._units))
        found: dict[int, float] = {}
        for level in (coarse, self._fine):
            order = self._order(level, guide, found)
            async with aclosing(self._take_out(order, before)) as changes:
                async for change in changes:
                    found[change.unit] = change.log_odds_change
                    yield change

    def _order(self, level: range, guide: dict[int, float], found: dict[int, float]) -> list[int]:
        """Parts that matter most come first, as far as is known: by hide, and a little by the sentence around them.

        Before them comes the last part, which costs nearly nothing, and behind them the one with the first token.
        """

        def matters(at: int) -> tuple[int, float]:
            unit = self._units[at]
            around = [abs(change) for other, change in found.items() if self._units[other].holds(unit)]
            place = -1 if unit.has_first_token else int(unit.end == len(self._ids))
            return place, abs(guide.get(at, 0.0)) + AROUND * max(around, default=0.0)

        return sorted(level, key=matters, reverse=True)

    async def _take_out(self, order: Sequence[int], before: float) -> AsyncGenerator[InfluenceChange, None]:
        """Some edited prompts at a time, until all are done or the budget is used up."""
        left, running = deque(order), dict[asyncio.Task[list[float]], int]()
        try:
            while left or running:
                while left and len(running) < ABREAST:
                    at = left.popleft()
                    edited = self._without(self._units[at])
                    self._budget -= len(edited) - self._units[at].start
                    if self._budget < 0:
                        left.clear()
                    elif edited:
                        running[asyncio.create_task(self._computing.run(edited, self._odds, background=True))] = at
                if not running:
                    return
                done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    yield InfluenceChange(running.pop(task), "take_out", task.result()[0] - before)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    def _without(self, unit: InfluenceUnit) -> Ids:
        """The prompt without a part, or with another token in its places; what stands for an empty one, if anything."""
        ids, other = self._ids, self._query.replace_with
        middle = () if other is None else (other,) * (unit.end - unit.start)
        bos = self._tokenizer.bos_id
        return (*ids[: unit.start], *middle, *ids[unit.end :]) or (() if bos is None else (bos,))

    async def _differentiate(self, before: float) -> AsyncGenerator[InfluenceChange, None]:
        """What a linear model would say: minus gradient · input, summed over the tokens of each part."""
        work = self._gradient.begin(self._ids, self._target, self._query.contrast)
        try:
            (found,) = await self._computing.run(self._ids, lambda _, values: [values], work=work, background=True)
        finally:
            work.close()
        for at, unit in enumerate(self._units):
            yield InfluenceChange(at, "gradient", -sum(found[unit.start : unit.end]))

    def _odds(self, _: object, rows: Any) -> list[float]:
        return log_odds(rows, self._target, self._query.contrast)

    def _end(self) -> InfluenceEnd:
        asked = self._found.get(self._query.method, {})
        guide = self._found.get("hide", {}) if self._query.method == "take_out" else {}
        both = [at for at in self._fine if at in asked and at in guide and not self._units[at].has_first_token]
        correlation = ranks.correlation([abs(asked[at]) for at in both], [abs(guide[at]) for at in both])
        return InfluenceEnd(
            measured=sum(at in asked for at in self._fine),
            complete=self._budget >= 0,
            rank_correlation=correlation,
            methods_disagree=correlation is not None and correlation < DISAGREEMENT,
            computed_tokens=self._computing.tokens,
            timings=Timings(0.0, 0.0, 0.0, 0.0),
        )


async def influences(
    settings: Settings,
    tokenizer: ModelTokenizer,
    executor: Executor,
    scheduler: Scheduler,
    encode: Callable[[InfluenceQuery, Permit, float | None], Awaitable[tuple[Ids, float]]],
    query: InfluenceQuery,
    deadline: float | None,
    client: Client,
) -> InfluenceEvents:
    """The events of one request, on one permit."""
    arrived, most = time.monotonic(), settings.influence_tokens
    check_influence(query, executor.model.capabilities.vocab_size, settings.max_text_bytes, most)
    with scheduler.admit(client, stream=True) as permit:
        ids, tokenize_s = await encode(query, permit, deadline)
        computing = Computing(executor, scheduler, permit, deadline)
        influence = Influence(query, ids, tokenizer, computing, executor.model, settings.influence_units, most)
        async with aclosing(influence.events()) as events:
            async for event in events:
                if isinstance(event, InfluenceEnd):
                    event = replace(event, timings=computing.timings(tokenize_s, time.monotonic() - arrived))
                yield event
