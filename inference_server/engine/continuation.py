"""One continuation of a prompt: its ids, its text, and when it ends."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from inference_server.engine.masked import with_allowed
from inference_server.engine.sampled import Steps
from inference_server.engine.stop_texts import StopTexts
from inference_server.errors import InvalidField
from inference_server.generate_messages import (
    FinishReason,
    GeneratedSoFar,
    GeneratedToken,
    GenerateFinish,
    GenerateQuery,
)
from inference_server.messages import Timings, Token
from inference_server.sampler_messages import Amount, Xtc
from inference_server.sampling.counter_rng import XTC_COIN, uniform
from inference_server.sampling.distribution import Distribution
from inference_server.sampling.pool import History
from inference_server.sequence import Ids, Sequence
from inference_server.tokenizer.tokenizer import ModelTokenizer

if TYPE_CHECKING:
    from inference_server.masks.masks import MaskedText

GREEDY = Amount("temperature", 0)  # as without steps, the first of equally likely tokens, whatever the draw


class Continuation:
    """Grows by one token per step."""

    def __init__(
        self,
        so_far: GeneratedSoFar,
        prompt: Ids,
        query: GenerateQuery,
        seed: int,
        stop_ids: frozenset[int],
        tokenizer: ModelTokenizer,
        context_limit: int,
        masked: "MaskedText | None" = None,
    ) -> None:
        """Begins after what was generated so far. Raises InvalidField if that goes on behind its end.

        `masked`: what it is held to, not yet with what was generated.
        """
        self.index = so_far.index
        self.ids = prompt
        self._prompt_length = len(prompt)
        self._query = query
        self._seed = seed
        self._stop_ids = stop_ids
        self._tokenizer = tokenizer
        self._context_limit = context_limit
        self._masked = masked
        self._held = len(prompt)
        self._allowed: object = None
        self._text = bytearray()
        self._stops = StopTexts(query.stop)
        self.finish: GenerateFinish | None = None
        """The end, without its timings, if what was generated so far holds it."""
        for token_id in so_far.token_ids:
            if self.finish is not None:
                count = self.finish.token_count
                raise InvalidField("resume", f"continuation {self.index} ended after {count:,} tokens; more are given")
            self.finish = self.add(tokenizer.token(token_id, self.ids))

    @property
    def count(self) -> int:
        """Tokens generated."""
        return len(self.ids) - self._prompt_length

    def mask(self) -> None:
        """Before each step of one that is held to a mask: finds what may come next. Raises InvalidField."""
        if self._masked is None:
            return
        wrong = self._masked.add(self.ids[self._held :])
        if wrong is not None:
            at = self._held - self._prompt_length + wrong
            raise InvalidField(
                "resume", f"the mask does not allow the token at index {at:,} of continuation {self.index}"
            )
        self._held = len(self.ids)
        self._allowed = self._masked.allowed()

    def describe(self, sequence: Sequence[Any], rows: Any) -> list[GeneratedToken | InvalidField]:
        """On the worker thread: draws the next token from the logits after `ids`."""
        query, ids = self._query, sequence.token_ids
        distribution = Distribution(rows[0], query.temperature)
        if query.samplers:
            return [self._sampled(rows[0], distribution, ids)]
        kept = distribution.keep(query.top_p, query.min_p)
        draw = uniform(self._seed, self.index, len(ids)) if query.temperature else 0.0
        (drawn,) = distribution.draw([draw], kept)
        token = self._tokenizer.following(ids)
        top = distribution.top(query.top_k) if query.top_k else []
        candidates = [each.candidate(token(each.token_id)) for each in top]
        return [
            GeneratedToken(
                self.index,
                drawn.candidate(token(drawn.token_id)),
                candidates,
                distribution.entropy_bits,
                kept.count,
                kept.probability,
                distribution.other_probability(top),
                distribution.partition() if query.include_partition else (),
                distribution.log_sum_exp,
                partition_at_zero=distribution.partition_at_zero() if query.include_partition else None,
            )
        ]

    def _sampled(self, logits: Any, distribution: Distribution, ids: Ids) -> GeneratedToken | InvalidField:
        """The next token after the sampler steps."""
        query = self._query
        coin = uniform(self._seed, self.index, len(ids), XTC_COIN)
        with_coin = [replace(step, coin=coin) if isinstance(step, Xtc) else step for step in query.samplers]
        samplers = with_allowed(with_coin, self._allowed)
        token = self._tokenizer.following(ids)
        try:
            steps = Steps(logits, samplers, History(ids, self._prompt_length), distribution, token)
        except InvalidField as reason:
            return reason
        draw = 0.0 if GREEDY in samplers else uniform(self._seed, self.index, len(ids))
        (drawn,) = steps.draw([draw])
        top, kept = distribution.top(query.top_k) if query.top_k else [], steps.kept
        return GeneratedToken(
            self.index,
            drawn,
            steps.candidates([each.token_id for each in top]),
            distribution.entropy_bits,
            kept.count,
            kept.probability,
            distribution.other_probability(top),
            distribution.partition() if query.include_partition else (),
            distribution.log_sum_exp,
            steps.sampling(query.top_k),
            distribution.partition_at_zero() if query.include_partition else None,
        )

    def add(self, token: Token) -> GenerateFinish | None:
        """Appends a token; returns the end if that was the last one, without its timings."""
        self.ids = (*self.ids, token.token_id)
        written = b"" if token.is_special else token.bytes
        self._text += written
        stop = self._stops.add(written) if written else None
        if stop is not None:
            text, at = stop
            return self._finish(FinishReason.STOP_TEXT, at, stop_text=text)
        if token.token_id in self._stop_ids:
            return self._finish(FinishReason.STOP_TOKEN, stop_token_id=token.token_id)
        if self.count == self._query.max_tokens or len(self.ids) > self._context_limit:
            return self._finish(FinishReason.LENGTH)
        return None

    def _finish(
        self,
        reason: FinishReason,
        end: int | None = None,
        stop_token_id: int | None = None,
        stop_text: str | None = None,
    ) -> GenerateFinish:
        text = self._text[:end].decode(errors="replace")
        return GenerateFinish(
            self.index, reason, text, self.count, Timings(0.0, 0.0, 0.0, 0.0), stop_token_id, stop_text
        )
