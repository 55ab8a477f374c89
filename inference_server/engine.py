"""One model's requests: check, encode, schedule, describe. Knows neither gRPC nor threads nor torch."""

import itertools
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from inference_server.checks import check_ids, check_length, check_score, check_top_k
from inference_server.distribution import Distribution, Place
from inference_server.errors import InvalidField
from inference_server.jobs import Lane, Outcome, Slot
from inference_server.model import Model
from inference_server.prefix_cache import PrefixCache
from inference_server.scheduler import Scheduler
from inference_server.settings import Settings
from inference_server.values import (
    Candidate,
    ScoreAnswer,
    ScoredToken,
    ScoreQuery,
    Timings,
    Token,
    TopKAnswer,
    TopKQuery,
)
from inference_server.vocabulary import Vocabulary

READ_AT_ONCE = 2_000  # characters; a longer text is turned into ids beside the event loop

Query = TypeVar("Query", TopKQuery, ScoreQuery)
Ids = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Ask(Generic[Query]):
    """A query and its prompt in ids, at least one."""

    query: Query
    ids: Ids


class Engine:
    """Answers for one loaded model."""

    def __init__(
        self,
        name: str,
        vocabulary: Vocabulary,
        model: Model,
        scheduler: Scheduler,
        cache: PrefixCache[Any],
        max_text_bytes: int,
    ) -> None:
        self.facts = model.facts
        self._vocabulary = vocabulary
        self._model = model
        self._scheduler = scheduler
        self._cache = cache
        self._max_text_bytes = max_text_bytes
        self._top_k_lane = Lane(f"{name} top-k", self._answer, batched=model.batches)
        self._score_lane = Lane(f"{name} score", self._score_each, batched=False)

    async def top_k(self, query: TopKQuery, deadline: float | None) -> TopKAnswer:
        """Answers a query before `deadline` (time.monotonic seconds; None: no deadline).

        Raises InvalidField, Overloaded, DeadlineExpired, Stopping or ComputeFailed.
        """
        arrived = time.monotonic()
        check_top_k(query, self.facts.vocab_size, self._max_text_bytes)
        with self._scheduler.admit() as slot:
            ids, read_s = await self._read(query, slot, deadline)
            outcome = await self._scheduler.run(slot, self._top_k_lane, Ask(query, ids), len(ids), deadline)
        return replace(outcome.answer, timings=_timings(arrived, read_s, outcome))

    async def score(self, query: ScoreQuery, deadline: float | None) -> ScoreAnswer:
        """As top_k, for every token of a text.

        Each token is told from the distribution that top_k gives for the ids before it. So the first one follows the
        model's beginning-of-sequence token; it is unconditioned where the model has none, or where it is that token.
        """
        arrived = time.monotonic()
        check_score(query, self.facts.vocab_size, self._max_text_bytes)
        with self._scheduler.admit() as slot:
            ids, read_s = await self._read(query, slot, deadline)
            outcome = await self._scheduler.run(slot, self._score_lane, Ask(query, ids), len(ids), deadline)
        return replace(outcome.answer, timings=_timings(arrived, read_s, outcome))

    async def _read(self, query: TopKQuery | ScoreQuery, slot: Slot, deadline: float | None) -> tuple[Ids, float]:
        """A checked query's prompt as ids the model can read, and the seconds spent on its text."""
        started = time.monotonic()
        if query.text is None:
            field, ids = "token_ids", tuple(query.token_ids or ())
        elif len(query.text) <= READ_AT_ONCE:
            field, ids = "text", tuple(self._vocabulary.encode(query.text))
        else:
            field, ids = "text", tuple(await self._scheduler.aside(slot, deadline, self._vocabulary.encode, query.text))
        spent = time.monotonic() - started
        if not ids:
            if self._vocabulary.bos_id is None:
                raise InvalidField(field, "holds no token, and this model has none to begin a text with; add something")
            ids = (self._vocabulary.bos_id,)
        check_length(field, len(ids), self.facts.context_limit)
        check_ids(field, ids, self.facts.vocab_size)
        return ids, spent

    def _answer(self, asks: Sequence[Ask[TopKQuery]]) -> list[TopKAnswer]:
        """On the worker thread: a batch of prompts."""
        logits, held = self._last_logits([ask.ids for ask in asks])
        return [self._describe(ask, logits[ask.ids], len(ask.ids) if ask.ids in held else 0) for ask in asks]

    def _last_logits(self, prompts: Sequence[Ids]) -> tuple[dict[Ids, Any], set[Ids]]:
        """The logits after each prompt, and which of them were still held; the others take one forward pass."""
        logits = {ids: self._cache.get(self, ids) for ids in prompts}
        missing = [ids for ids, found in logits.items() if found is None]
        held = logits.keys() - missing
        for ids, computed in zip(missing, self._model.last_logits(missing) if missing else (), strict=True):
            self._cache.put(self, ids, computed)
            logits[ids] = computed
        return logits, held

    def _describe(self, ask: Ask[TopKQuery], logits: Any, cached_tokens: int) -> TopKAnswer:
        query = ask.query
        distribution = Distribution(logits, query.temperature)
        top = distribution.top(query.top_k)
        kept = distribution.keep(query.top_p, query.min_p)
        return TopKAnswer(
            token_count=len(ask.ids),
            cached_tokens=cached_tokens,
            context_limit=self.facts.context_limit,
            candidates=self._candidates(top, ask.ids),
            watched=self._candidates(distribution.places(query.watch_token_ids), ask.ids),
            drawn=self._candidates(distribution.draw(query.draws, kept), ask.ids),
            kept_count=kept.count,
            kept_probability=kept.probability,
            other_probability=distribution.other_probability(top),
            entropy_bits=distribution.entropy_bits,
            vocab_size=self.facts.vocab_size,
            lookahead_hit=False,
            timings=UNTIMED,
            prompt_tokens=self._vocabulary.spell(ask.ids) if query.include_prompt_tokens else (),
            partition=distribution.partition() if query.include_partition else (),
        )

    def _score_each(self, asks: Sequence[Ask[ScoreQuery]]) -> list[ScoreAnswer]:
        return [self._score(ask.ids, ask.query.top_k) for ask in asks]

    def _score(self, ids: Ids, alternatives: int) -> ScoreAnswer:
        """On the worker thread: every token of one text."""
        tokens = self._vocabulary.spell(ids)
        bos = self._vocabulary.bos_id

        def describe(at: int, logits: Any) -> ScoredToken:
            distribution = Distribution(logits, 1.0)
            (place,) = distribution.places([ids[at]])
            top = self._candidates(distribution.top(alternatives), ids[:at]) if alternatives else ()
            return ScoredToken(_candidate(tokens[at], place), distribution.entropy_bits, top)

        if bos is not None and ids[0] != bos:
            logits, _ = self._last_logits([(bos,)])
            scored = [describe(0, logits[bos,])]
        else:
            scored = [ScoredToken(Candidate(tokens[0], 0, 0.0, 0.0, 0.0), 0.0, unconditioned=True)]
        if len(ids) > 1:
            following = itertools.count(1)
            scored += self._model.map_logits(lambda logits: describe(next(following), logits), ids[:-1])
        conditioned = [token.candidate for token in scored if not token.unconditioned]
        total = math.fsum(candidate.logprob for candidate in conditioned)
        size = sum(len(candidate.token.bytes) for candidate in conditioned if not candidate.token.is_special)
        return ScoreAnswer(
            tokens=scored,
            total_logprob=total,
            perplexity=_perplexity(total, len(conditioned)),
            bits_per_byte=-total / math.log(2) / size if size else 0.0,
            context_limit=self.facts.context_limit,
            timings=UNTIMED,
        )

    def _candidates(self, places: Sequence[Place], preceding: Ids) -> list[Candidate]:
        token = self._vocabulary.following(preceding)
        return [_candidate(token(place.token_id), place) for place in places]


UNTIMED = Timings(0.0, 0.0, 0.0, 0.0)


def load(
    name: str, folder: Path, device: str, scheduler: Scheduler, cache: PrefixCache[Any], settings: Settings
) -> Engine:
    """Reads a folder into an engine, however long it takes. Raises LoadFailed."""
    vocabulary = Vocabulary.load(folder)
    model = Model.load(folder, device)
    return Engine(name, vocabulary, model, scheduler, cache, settings.max_text_bytes)


def _candidate(token: Token, place: Place) -> Candidate:
    return Candidate(token, place.rank, place.logit, place.probability, place.logprob)


def _perplexity(total_logprob: float, count: int) -> float:
    """exp of the mean loss; infinite where that is beyond a float, 1 where there is nothing to mean."""
    try:
        return math.exp(-total_logprob / count) if count else 1.0
    except OverflowError:
        return math.inf


def _timings(arrived: float, read_s: float, outcome: Outcome[Any]) -> Timings:
    total_s = time.monotonic() - arrived
    return Timings(outcome.queue_s * 1000, read_s * 1000, outcome.compute_s * 1000, total_s * 1000)
