"""A prompt's next token: the answer made of its last logits."""

from collections.abc import Sequence as Tokens
from typing import Any

from inference_server.messages import Candidate, ModelFacts, Timings, Token, TopKAnswer, TopKQuery
from inference_server.sampling.distribution import Distribution, RankedToken
from inference_server.sequence import Ids, Sequence
from inference_server.tokenizer.tokenizer import ModelTokenizer

UNTIMED = Timings(0.0, 0.0, 0.0, 0.0)


class TopK:
    """One query of one model."""

    def __init__(self, query: TopKQuery, facts: ModelFacts, tokenizer: ModelTokenizer) -> None:
        self._query = query
        self._facts = facts
        self._tokenizer = tokenizer

    def describe(self, sequence: Sequence[TopKAnswer], rows: Any) -> list[TopKAnswer]:
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
            drawn=self._candidates(distribution.draw(query.draws, kept), ids),
            kept_count=kept.count,
            kept_probability=kept.probability,
            other_probability=distribution.other_probability(top),
            entropy_bits=distribution.entropy_bits,
            vocab_size=self._facts.vocab_size,
            lookahead_hit=sequence.prefetched,
            timings=UNTIMED,
            prompt_tokens=self._tokenizer.spell(ids) if query.include_prompt_tokens else (),
            partition=distribution.partition() if query.include_partition else (),
        )
        return [answer]

    def _candidates(self, ranked: Tokens[RankedToken], preceding: Ids) -> list[Candidate]:
        token = self._tokenizer.following(preceding)
        return [candidate(token(each.token_id), each) for each in ranked]


def candidate(token: Token, ranked: RankedToken) -> Candidate:
    """A token and its place in a distribution."""
    return Candidate(token, ranked.rank, ranked.logit, ranked.probability, ranked.logprob)
