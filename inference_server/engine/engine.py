"""One model's requests: check, encode, schedule, describe. Knows neither gRPC nor threads nor torch."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from inference_server.engine.validation import check_ids, check_length, check_score, check_top_k
from inference_server.errors import InvalidField
from inference_server.host import memory, openmp
from inference_server.kvcache.logits_cache import LogitsCache
from inference_server.messages import (
    NOBODY,
    Candidate,
    Client,
    ScoreAnswer,
    ScoredToken,
    ScoreQuery,
    Timings,
    Token,
    TopKAnswer,
    TopKQuery,
)
from inference_server.runtime import architecture
from inference_server.runtime.executor import Executor
from inference_server.runtime.model import Model
from inference_server.sampling.distribution import Distribution, RankedToken
from inference_server.scheduler.admission import Permit
from inference_server.scheduler.queue import Lane, Outcome
from inference_server.scheduler.scheduler import Scheduler
from inference_server.sequence import Ids, Reading, Scoring
from inference_server.settings import Settings
from inference_server.stats import ModelStats
from inference_server.tokenizer import end_of_text
from inference_server.tokenizer.tokenizer import ModelTokenizer

READ_AT_ONCE = 2_000  # characters; a longer text is turned into ids beside the event loop


@dataclass(frozen=True, slots=True, eq=False)
class Ask:
    """A query and how far its prompt is read."""

    query: TopKQuery
    reading: Reading


@dataclass(frozen=True, slots=True)
class ScoreAsk:
    """A text to score, at least one token: what tells of its first token, and what of the others."""

    ids: Ids
    first: Reading | None
    """None: the first token is unconditioned."""
    others: Scoring[ScoredToken]
    alternatives: int
    tokens: list[Token] = field(default_factory=list)
    """Its tokens, spelled in the first step."""


class Engine:
    """Answers for one loaded model."""

    def __init__(
        self,
        name: str,
        vocabulary: ModelTokenizer,
        model: Model,
        scheduler: Scheduler,
        cache: LogitsCache[Any],
        settings: Settings,
        ends: Sequence[int] = (),
    ) -> None:
        """`ends`: the ids that the model's files say end a text, whether or not it has such rows."""
        self.facts = replace(
            model.facts,
            end_of_text_ids=end_of_text.within(model.vocab_size, *ends, vocabulary.eos_id),
            prefix_token_ids=tuple(vocabulary.prefix),
        )
        self._vocabulary = vocabulary
        self._scheduler = scheduler
        self._reader = Executor(model, cache, min(settings.step_tokens, settings.batch_tokens), settings.step_ms / 1000)
        self._max_text_bytes = settings.max_text_bytes
        self._top_k_lane = Lane(f"{name} top-k", self._answer, batched=model.runner is not None)
        self._lookahead = min(settings.lookahead, self.facts.vocab_size)
        if self._lookahead:
            scheduler.when_idle(lambda: self._reader.look_ahead(self._likeliest))
        self._score_lane = Lane(f"{name} score", self._score_each, batched=False)

    @property
    def gauges(self) -> ModelStats:
        return self._reader.gauges

    async def top_k(self, query: TopKQuery, deadline: float | None, client: Client = NOBODY) -> TopKAnswer:
        """Answers a client's query before `deadline` (time.monotonic seconds; None: no deadline).

        Raises InvalidField, Overloaded, DeadlineExpired, Stopping or ComputeFailed.
        """
        arrived = time.monotonic()
        check_top_k(query, self.facts.vocab_size, self._max_text_bytes)
        with self._scheduler.admit(client) as slot:
            ids, read_s = await self._read(query, slot, deadline)
            ask = Ask(query, Reading(ids))
            outcome = await self._scheduler.run(slot, self._top_k_lane, ask, len(ids), deadline)
        return replace(outcome.answer, timings=_timings(arrived, read_s, outcome))

    async def score(self, query: ScoreQuery, deadline: float | None, client: Client = NOBODY) -> ScoreAnswer:
        """As top_k, for every token of a text.

        Each token is told from the distribution that top_k gives for the ids before it. The first one follows the
        beginning-of-sequence token where the tokenizer puts that in front of texts, and is unconditioned where it puts
        none there, or where it is that token itself.
        """
        arrived = time.monotonic()
        check_score(query, self.facts.vocab_size, self._max_text_bytes)
        with self._scheduler.admit(client) as slot:
            ids, read_s = await self._read(query, slot, deadline)
            ask = self._score_ask(ids, query.top_k)
            outcome = await self._scheduler.run(slot, self._score_lane, ask, len(ids), deadline)
        return replace(outcome.answer, timings=_timings(arrived, read_s, outcome))

    async def _read(self, query: TopKQuery | ScoreQuery, slot: Permit, deadline: float | None) -> tuple[Ids, float]:
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
        if query.text is not None and max(ids) >= self.facts.vocab_size:
            raise InvalidField(field, self._vocabulary.beyond(ids, self.facts.vocab_size))
        check_ids(field, ids, self.facts.vocab_size)
        return ids, spent

    def _answer(self, asks: Sequence[Ask]) -> list[TopKAnswer | None]:
        """On the worker thread: one step of a batch of prompts."""
        self._reader.step([ask.reading for ask in asks])
        done = [ask for ask in asks if ask.reading.logits is not None]
        described = {ask: self._describe(ask.query, ask.reading) for ask in done}
        for ask in done if self._lookahead else ():
            self._reader.expect(ask.reading.ids)
        return [described.get(ask) for ask in asks]

    def _likeliest(self, logits: Any) -> list[int]:
        return [place.token_id for place in Distribution(logits, 1.0).top(self._lookahead)]

    def _describe(self, query: TopKQuery, reading: Reading) -> TopKAnswer:
        ids = reading.ids
        distribution = Distribution(reading.logits, query.temperature)
        top = distribution.top(query.top_k)
        kept = distribution.keep(query.top_p, query.min_p)
        return TopKAnswer(
            token_count=len(ids),
            cached_tokens=reading.cached_tokens or 0,
            context_limit=self.facts.context_limit,
            candidates=self._candidates(top, ids),
            watched=self._candidates(distribution.places(query.watch_token_ids), ids),
            drawn=self._candidates(distribution.draw(query.draws, kept), ids),
            kept_count=kept.count,
            kept_probability=kept.probability,
            other_probability=distribution.other_probability(top),
            entropy_bits=distribution.entropy_bits,
            vocab_size=self.facts.vocab_size,
            lookahead_hit=reading.looked_ahead,
            timings=UNTIMED,
            prompt_tokens=self._vocabulary.spell(ids) if query.include_prompt_tokens else (),
            partition=distribution.partition() if query.include_partition else (),
        )

    def _score_ask(self, ids: Ids, alternatives: int) -> ScoreAsk:
        bos = self._vocabulary.bos_id if self._vocabulary.begins else None
        first = None if bos is None or ids[0] == bos else Reading((bos,))
        others = Scoring[ScoredToken](ids[:-1], lambda at, logits: self._scored(ask, at + 1, logits))
        ask = ScoreAsk(ids, first, others, alternatives)
        return ask

    def _score_each(self, asks: Sequence[ScoreAsk]) -> list[ScoreAnswer | None]:
        """On the worker thread: one step of each text."""
        return [self._score(ask) for ask in asks]

    def _score(self, ask: ScoreAsk) -> ScoreAnswer | None:
        if not ask.tokens:
            ask.tokens[:] = self._vocabulary.spell(ask.ids)
        if ask.first is not None and ask.first.logits is None:
            self._reader.step([ask.first])
            return None if ask.others.ids else self._total(ask)
        if not ask.others.done:
            self._reader.step_score(ask.others)
        return self._total(ask) if ask.others.done else None

    def _scored(self, ask: ScoreAsk, at: int, logits: Any) -> list[ScoredToken]:
        """What the rows of logits before them say of the tokens from a place on."""
        scored = []
        for place, row in enumerate(logits, at):
            distribution = Distribution(row, 1.0)
            (own,) = distribution.places([ask.ids[place]])
            top = self._candidates(distribution.top(ask.alternatives), ask.ids[:place]) if ask.alternatives else ()
            scored.append(ScoredToken(_candidate(ask.tokens[place], own), distribution.entropy_bits, top))
        return scored

    def _total(self, ask: ScoreAsk) -> ScoreAnswer:
        if ask.first is not None:
            (first,) = self._scored(ask, 0, ask.first.logits[None])
        else:
            first = ScoredToken(Candidate(ask.tokens[0], 0, 0.0, 0.0, 0.0), 0.0, unconditioned=True)
        scored = [first, *ask.others.told]
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

    def _candidates(self, places: Sequence[RankedToken], preceding: Ids) -> list[Candidate]:
        token = self._vocabulary.following(preceding)
        return [_candidate(token(place.token_id), place) for place in places]


UNTIMED = Timings(0.0, 0.0, 0.0, 0.0)


def load(
    name: str, folder: Path, scheduler: Scheduler, cache: LogitsCache[Any], stored_bytes: int, settings: Settings
) -> Engine:
    """Reads a folder into an engine that keeps distributions in `cache`, and at most `stored_bytes` of keys and values.

    Takes however long it takes. Raises LoadFailed.
    """
    try:
        architecture.configuration(folder)  # first: transformers chooses the tokenizer's class by it, too
        vocabulary = ModelTokenizer.load(folder)
        ends = end_of_text.stated(folder)
        model = Model.load(folder, settings.device, stored_bytes)
        vocabulary.check_rows(model.facts.vocab_size)
    finally:  # what loading took for a while
        memory.give_back()
        openmp.dismiss()
    return Engine(name, vocabulary, model, scheduler, cache, settings, ends)


def _candidate(token: Token, place: RankedToken) -> Candidate:
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
