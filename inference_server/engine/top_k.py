"""A prompt's next token: the answer made of its last logits."""

from collections.abc import Sequence as Tokens
from dataclasses import replace
from typing import Any

from inference_server.engine.sampled import Steps
from inference_server.errors import InvalidField
from inference_server.messages import Candidate, ModelFacts, Timings, TopKAnswer, TopKQuery
from inference_server.sampling.distribution import Distribution, RankedToken
from inference_server.sampling.pool import History
from inference_server.sequence import Ids, Sequence
from inference_server.tokenizer.tokenizer import ModelTokenizer

UNTIMED = Timings(0.0, 0.0, 0.0, 0.0)


class TopK:
    """One query of one model."""

    def __init__(self, query: TopKQuery, facts: ModelFacts, tokenizer: ModelTokenizer) -> None:
        self._query = query
        self._facts = facts
        self._tokenizer = tokenizer

    def describe(self, sequence: Sequence[Any], rows: Any) -> list[TopKAnswer | InvalidField]:
        """On the worker thread: the answer, once the prompt's last logits are there."""
        query, ids = self._query, sequence.token_ids
        distribution = Distribution(rows[0], query.temperature)
        top = distribution.top(query.top_k)
        kept = distribution.keep(query.top_p, query.min_p)
        answer = TopKAnswer(
            token_count=len(ids),
            cached_tokens=sequence.num_reused_tokens,
            context_limit=self._facts.context_limit,
            candidates=self._candidates(top, ids),
            watched=self._candidates(distribution.places(query.watch_token_ids), ids),
            drawn=[] if query.samplers else self._candidates(distribution.draw(query.draws, kept), ids),
            kept_count=kept.count,
            kept_probability=kept.probability,
            other_probability=distribution.other_probability(top),
            entropy_bits=distribution.entropy_bits,
            vocab_size=self._facts.vocab_size,
            lookahead_hit=sequence.prefetched,
            timings=UNTIMED,
            prompt_tokens=self._tokenizer.spell(ids) if query.include_prompt_tokens else (),
            partition=distribution.partition() if query.include_partition else (),
            partition_at_zero=distribution.partition_at_zero() if query.include_partition else None,
        )
        return [self._sampled(answer, rows[0], distribution, ids) if query.samplers else answer]

    def _sampled(
        self, answer: TopKAnswer, logits: Any, distribution: Distribution, ids: Ids
    ) -> TopKAnswer | InvalidField:
        """The answer with what the sampler steps make of it."""
        query = self._query
        history = History(ids, len(ids) if query.answer_start is None else query.answer_start)
        try:
            steps = Steps(logits, query.samplers, history, distribution, self._tokenizer.following(ids))
        except InvalidField as reason:
            return reason
        kept = steps.kept
        return replace(
            answer,
            candidates=steps.candidates([each.token.token_id for each in answer.candidates]),
            watched=steps.candidates(query.watch_token_ids),
            drawn=steps.draw(query.draws),
            kept_count=kept.count,
            kept_probability=kept.probability,
            sampling=steps.sampling(query.top_k),
        )

    def _candidates(self, ranked: Tokens[RankedToken], preceding: Ids) -> list[Candidate]:
        token = self._tokenizer.following(preceding)
        return [each.candidate(token(each.token_id)) for each in ranked]
