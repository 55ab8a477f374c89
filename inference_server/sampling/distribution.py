"""From logits to everything an answer says of them: ranks, probabilities, cut-offs, entropy. Knows no models.

Logits come as one float32 row over the whole vocabulary, on the CPU; arithmetic is float64 and centred on the highest
logit, so neither a tiny temperature nor a far tail yields NaN. It is numpy's: passes this short, shared out among
torch's threads, would wait for the threads to wake.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from inference_server.errors import ComputeFailed
from inference_server.messages import PartitionPoint
from inference_server.sampling.log_partition import partition

_BLOCK = 64  # tokens
_NOTHING = -1e3  # e to this power is 0; times 0 it is no NaN, as minus infinity is
ROUNDING = 1e-12  # what summing float64 probabilities may lose; far below what float32 logits can tell apart


@dataclass(frozen=True, slots=True)
class RankedToken:
    """Where one token stands in a distribution; field meanings are those of the contract's Candidate."""

    token_id: int
    rank: int
    logit: float
    probability: float
    logprob: float


@dataclass(frozen=True, slots=True)
class Kept:
    """How many of the most likely tokens the cut-offs leave, and their summed uncut probability."""

    count: int
    probability: float


class Distribution:
    """softmax(logits / temperature) over a vocabulary; at temperature 0 its greedy limit, ties sharing evenly."""

    def __init__(self, logits: Tensor, temperature: float) -> None:
        """`logits`: (V,) float32. Minus infinity rules a token out.

        Raises ComputeFailed where the logits hold NaN or plus infinity, or rule every token out.
        """
        self._logits: NDArray[np.float32] = logits.numpy()
        self._highest = float(self._logits.max())  # NaN where any logit is
        if not math.isfinite(self._highest):
            raise ComputeFailed("the model's output is not a number; its weights may be damaged")
        self._below = np.subtract(self._logits, self._highest, dtype=np.float64)
        if temperature == 0:
            self._below[self._below < 0] = -math.inf
        else:
            with np.errstate(over="ignore"):  # far beyond what e^x can hold: minus infinity, as it should be
                self._below /= temperature
        self._relative = np.exp(self._below)  # probability over that of the most likely token
        self._total = float(self._relative.sum())

    def top(self, count: int) -> list[RankedToken]:
        """The `count` most likely tokens by descending logit, equal logits by ascending id."""
        if "_order" in self.__dict__:
            ids = self._order[:count]
        else:
            # So many blocks of tokens hold one that reaches the lowest of their highest logits: few tokens do.
            highest = np.maximum.reduceat(self._logits, np.arange(0, len(self._logits), _BLOCK))
            highest = highest if len(highest) >= count else self._logits
            lowest = np.partition(highest, -count)[-count]
            among = np.flatnonzero(self._logits >= lowest)  # ascending ids, every tie at the edge included
            ids = among[np.argsort(-self._logits[among], stable=True)[:count]]
        return self._describe(ids, range(1, count + 1))

    def places(self, token_ids: Sequence[int]) -> list[RankedToken]:
        """The given tokens wherever they rank, in the given order."""
        return self._describe(np.array(token_ids, dtype=np.int64), [self._rank(i) for i in token_ids])

    def other_probability(self, shown: Sequence[RankedToken]) -> float:
        """Summed probability of every token not shown, in [0, 1]; no difference from 1, which loses small tails."""
        rest = self._relative.copy()
        rest[[place.token_id for place in shown]] = 0.0
        return min(1.0, float(rest.sum()) / self._total)

    @property
    def entropy_bits(self) -> float:
        """Entropy of the whole distribution."""
        # No dot product: the BLAS would start threads, which go on spinning.
        mean = float((self._relative * np.maximum(self._below, _NOTHING)).sum()) / self._total
        return max(0.0, (math.log(self._total) - mean) / math.log(2))

    def keep(self, top_p: float, min_p: float) -> Kept:
        """What top_p, in (0, 1], and min_p, in [0, 1], leave together; 1 and 0 cut nothing."""
        count = int((self._relative >= min_p).sum()) if min_p > 0 else len(self._logits)
        if top_p < 1:
            count = min(count, int((self._cumulated < top_p - ROUNDING).sum()) + 1)
        if count == len(self._logits):
            return Kept(count, 1.0)
        return Kept(count, min(1.0, float(self._cumulated[count - 1])))

    def draw(self, draws: Sequence[float], kept: Kept) -> list[RankedToken]:
        """For each number in [0, 1), the token at that point of the kept, renormalised, descending distribution."""
        if not draws:
            return []
        cumulated = self._cumulated[: kept.count]
        last = np.searchsorted(cumulated, cumulated[-1])  # the last token of any probability
        at = np.minimum(np.searchsorted(cumulated, np.array(draws) * cumulated[-1], side="right"), last)
        return self._describe(self._order[at], (at + 1).tolist())

    def partition(self) -> list[PartitionPoint]:
        """Log-sum-exp of logit * b, and mean and variance of the logit, at each b of INVERSE_TEMPERATURES.

        Of the logits alone: the distribution's own temperature plays no part.
        """
        return partition(self._logits, self._highest)

    @cached_property
    def _order(self) -> NDArray[np.int64]:
        """Every id, by rank."""
        # One sort of whole numbers, several times as fast as a stable one of fractions: the logit's bits, made to rise
        # as it falls, and below them the id.
        bits = np.subtract(np.float32(0), self._logits).view(np.int32)
        falling = (bits ^ (bits >> 31 & 0x7FFFFFFF)).astype(np.int64)
        return np.sort(falling << 32 | np.arange(len(bits))) & 0xFFFFFFFF

    @cached_property
    def _cumulated(self) -> NDArray[np.float64]:
        """Summed probability of the tokens up to each rank."""
        summed: NDArray[np.float64] = np.cumsum(self._relative[self._order] / self._total)
        return summed

    def _rank(self, token_id: int) -> int:
        logit = self._logits[token_id]
        before = np.count_nonzero(self._logits > logit) + np.count_nonzero(self._logits[:token_id] == logit)
        return 1 + int(before)

    def _describe(self, ids: NDArray[np.int64], ranks: Sequence[int]) -> list[RankedToken]:
        probabilities = self._relative[ids] / self._total
        logprobs = self._below[ids] - math.log(self._total)
        logprobs[probabilities == 0] = -math.inf  # as the contract says, also where it is merely too small to hold
        rows = zip(*(each.tolist() for each in (ids, self._logits[ids], probabilities, logprobs)), strict=True)
        return [
            RankedToken(token_id, rank, logit, probability, logprob)
            for rank, (token_id, logit, probability, logprob) in zip(ranks, rows, strict=True)
        ]
