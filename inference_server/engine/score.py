"""Scoring a text: the sequences it takes, and the answer made of their outputs."""

import math
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

from inference_server.messages import Candidate, ScoreAnswer, ScoredToken, Timings, Token
from inference_server.sampling.distribution import Distribution
from inference_server.sequence import Ids, Sequence
from inference_server.tokenizer.tokenizer import ModelTokenizer

Describe = Callable[[Sequence[ScoredToken], Any], list[ScoredToken]]


class Score:
    """One text of at least one token."""

    def __init__(self, ids: Ids, tokenizer: ModelTokenizer, alternatives: int) -> None:
        """`alternatives`: how many of the most likely tokens to give at each position."""
        self._ids = ids
        self._tokenizer = tokenizer
        self._alternatives = alternatives
        bos = tokenizer.bos_id if tokenizer.begins else None
        self._bos = None if bos is None or ids[0] == bos else bos
        """What the first token follows; None: nothing."""

    def parts(self) -> Iterator[tuple[Ids, Describe, bool]]:
        """The sequences to compute: token ids, how to describe their logits, and whether each row counts."""
        if self._bos is not None:
            yield (self._bos,), lambda sequence, rows: self._scored(0, rows), False
        if len(self._ids) > 1:
            yield self._ids[:-1], lambda sequence, rows: self._scored(1 + len(sequence.outputs), rows), True

    def answer(self, scored: list[ScoredToken], context_limit: int) -> ScoreAnswer:
        """From the outputs of all parts, in order."""
        if self._bos is None:
            scored = [ScoredToken(Candidate(self._tokens[0], 0, 0.0, 0.0, 0.0), 0.0, unconditioned=True), *scored]
        conditioned = [token.candidate for token in scored if not token.unconditioned]
        total = math.fsum(candidate.logprob for candidate in conditioned)
        size = sum(len(candidate.token.bytes) for candidate in conditioned if not candidate.token.is_special)
        return ScoreAnswer(
            tokens=scored,
            total_logprob=total,
            perplexity=_perplexity(total, len(conditioned)),
            bits_per_byte=-total / math.log(2) / size if size else 0.0,
            context_limit=context_limit,
            timings=Timings(0.0, 0.0, 0.0, 0.0),
        )

    @cached_property
    def _tokens(self) -> list[Token]:
        """Spelled where first needed: on the worker thread, unless there is only one."""
        return self._tokenizer.spell(self._ids)

    def _scored(self, first: int, rows: Any) -> list[ScoredToken]:
        """The tokens from position `first` on, each by the row of logits before it."""
        scored = []
        for at, row in enumerate(rows, first):
            distribution = Distribution(row, 1.0)
            (own,) = distribution.places([self._ids[at]])
            alternatives: list[Candidate] = []
            if self._alternatives:
                token = self._tokenizer.following(self._ids[:at])
                alternatives = [each.candidate(token(each.token_id)) for each in distribution.top(self._alternatives)]
            scored.append(ScoredToken(own.candidate(self._tokens[at]), distribution.entropy_bits, alternatives))
        return scored


def _perplexity(total_logprob: float, count: int) -> float:
    """exp of the mean loss: infinite if beyond a float, 1 without any loss."""
    try:
        return math.exp(-total_logprob / count) if count else 1.0
    except OverflowError:
        return math.inf
