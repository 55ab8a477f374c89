"""Comparing two next-token distributions: which tokens are the same, and the answer made of both rows of logits."""

import time
from collections.abc import Awaitable, Callable
from collections.abc import Sequence as Tokens
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from inference_server.compare_messages import (
    CompareAnswer,
    ComparedQuestion,
    ComparedSide,
    ComparedToken,
    CompareQuery,
    Unmatched,
)
from inference_server.engine.top_k import UNTIMED
from inference_server.engine.validation import of_side
from inference_server.messages import ModelFacts, Timings
from inference_server.sampling.distribution import Distribution
from inference_server.sampling.divergence import Difference, Side
from inference_server.sampling.pipeline import Pipeline
from inference_server.sampling.pool import History
from inference_server.scheduler.scheduler import Scheduler
from inference_server.sequence import Executor, Ids, Permit, Sequence
from inference_server.tokenizer.alignment import Vocabulary, align
from inference_server.tokenizer.tokenizer import ModelTokenizer

Encode = Callable[[ComparedQuestion, Permit, float | None], Awaitable[tuple[Ids, float]]]
Mask = Callable[[ComparedQuestion, Ids, Permit, float | None], Awaitable[ComparedQuestion]]


@dataclass(frozen=True, slots=True)
class Compared:
    """A model that answers for one side."""

    tokenizer: ModelTokenizer
    facts: ModelFacts
    executor: Executor
    encode: Encode
    masked: Mask
    prefetch: bool


@dataclass(frozen=True)
class Computed:
    """One side's question, and what the model computed for it."""

    model: Compared
    question: ComparedQuestion
    row: Sequence[Any]

    @property
    def tokenizer(self) -> ModelTokenizer:
        return self.model.tokenizer

    @property
    def ids(self) -> Ids:
        return self.row.token_ids

    @property
    def logits(self) -> Any:
        """(V,) after the last token."""
        return self.row.outputs[0]

    @cached_property
    def steps(self) -> Pipeline | None:
        """Its sampler steps, if it has any. Raises InvalidField if one leaves no token."""
        asked, start = self.question.samplers, self.question.answer_start
        history = History(self.ids, len(self.ids) if start is None else start)
        return Pipeline(self.logits, asked, history) if asked else None


async def compare(
    query: CompareQuery,
    models: tuple[Compared, Compared],
    scheduler: Scheduler,
    permit: Permit,
    deadline: float | None,
) -> CompareAnswer:
    """The answer to a validated query. Equal prompts of one model are computed once."""
    arrived = time.monotonic()
    rows, sides, tokenize_s = dict[tuple[Executor, Ids], Sequence[Any]](), list[Computed](), 0.0
    for name, model, question in zip("ab", models, (query.a, query.b), strict=True):
        with of_side(name):
            ids, spent_s = await model.encode(question, permit, deadline)
            question = await model.masked(question, ids, permit, deadline)
        tokenize_s += spent_s
        row: Sequence[Any] = Sequence(
            ids, model.executor, lambda _, rows: [rows[0]], permit, deadline, prefetch=model.prefetch
        )
        sides.append(Computed(model, question, rows.setdefault((model.executor, ids), row)))
    await scheduler.run(*rows.values())
    answer = await scheduler.aside(permit, deadline, compared, query, *sides)
    slowest = max(rows.values(), key=lambda row: row.queue_s + row.compute_s)
    spent = (slowest.queue_s, tokenize_s, slowest.compute_s, time.monotonic() - arrived)
    return replace(answer, timings=Timings(*(seconds * 1000 for seconds in spent)))


def compared(query: CompareQuery, a: Computed, b: Computed) -> CompareAnswer:
    """The answer. Takes some milliseconds, and longer for the first time of two different tokenizers."""
    alignment = align(_vocabulary(a), _vocabulary(b))
    units = zip((a, b), (alignment.a, alignment.b), strict=True)
    sides = []
    for name, (side, of_ids) in zip("ab", units, strict=True):
        with of_side(name):
            sides.append(_side(side, of_ids, alignment.total))
    side_a, side_b = sides
    difference = Difference(side_a, side_b, alignment.shared)
    divergences = difference.divergences()
    spell_a, spell_b = a.tokenizer.following(a.ids), b.tokenizer.following(b.ids)

    def tokens(found: Tokens[int]) -> list[ComparedToken]:
        tokens = []
        for place_a, place_b in ((side_a.place(unit), side_b.place(unit)) for unit in found):
            token = spell_a(place_a.token_id) if place_a else spell_b(place_b.token_id if place_b else 0)
            tokens.append(ComparedToken(token, place_a, place_b))
        return tokens

    return CompareAnswer(
        a=_described(a, side_a, query.include_prompt_tokens),
        b=_described(b, side_b, query.include_prompt_tokens),
        kl_a_b_bits=divergences.kl_a_b_bits,
        kl_b_a_bits=divergences.kl_b_a_bits,
        js_bits=divergences.js_bits,
        total_variation=divergences.total_variation,
        candidates=tokens(difference.top(query.top_k)),
        gained=tokens(difference.gained(query.top_k)),
        lost=tokens(difference.lost(query.top_k)),
        overlap=difference.overlap(query.top_k),
        unmatched=Unmatched(*difference.unmatched),
        matched_by_bytes=alignment.by_bytes,
        timings=UNTIMED,
    )


def _vocabulary(side: Computed) -> Vocabulary:
    return Vocabulary(side.tokenizer, len(side.logits), side.tokenizer.position_after(side.ids))


def _side(side: Computed, units: Tokens[int], total: int) -> Side:
    question, steps = side.question, side.steps
    distribution = Distribution(side.logits, question.temperature)
    return Side(distribution, question.top_p, question.min_p, units, total, steps)


def _described(side: Computed, found: Side, with_prompt_tokens: bool) -> ComparedSide:
    return ComparedSide(
        model=side.model.executor.name,
        token_count=len(side.ids),
        cached_tokens=side.row.num_reused_tokens,
        context_limit=side.model.facts.context_limit,
        kept_count=found.kept.count,
        kept_probability=found.kept.probability,
        entropy_bits=found.entropy_bits,
        vocab_size=len(side.logits),
        steps=side.steps.results if side.steps else (),
        prompt_tokens=side.tokenizer.spell(side.ids) if with_prompt_tokens else (),
    )
