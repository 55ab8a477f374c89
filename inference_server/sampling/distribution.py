"""Logits to ranks, probabilities, top-p and min-p sets, entropy.

Arithmetic is float64 relative to the highest logit, so that neither tiny temperatures nor far tails yield NaN. Not in
torch: for arrays this small, waking its threads would take longer than the work.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from inference_server.errors import ComputeFailed
from inference_server.messages import Candidate, PartitionPoint, Token
from inference_server.sampling import softmax
from inference_server.sampling.compiled import MANY
from inference_server.sampling.log_partition import at_zero, partition
from inference_server.sampling.ranking import Crossing, Ranking, Side
from inference_server.sampling.softmax import Weights

_BLOCK = 64  # tokens
_FEW = 64  # tokens that are ranked sooner by themselves than among all
_NOTHING = -1e3  # e**-1000 is 0 in float64; unlike minus infinity, times 0 it is not NaN
ROUNDING = 1e-12  # of summed float64 probabilities; far below the precision of float32 logits


@dataclass(frozen=True, slots=True)
class RankedToken:
    """A token with its rank; fields as in the API's Candidate."""

    token_id: int
    rank: int
    logit: float
    probability: float
    logprob: float

    def candidate(self, token: Token) -> Candidate:
        """The place of this token, spelled."""
        return Candidate(token, self.rank, self.logit, self.probability, self.logprob)


@dataclass(frozen=True, slots=True)
class Kept:
    """The most likely tokens left by top-p and min-p, and their total probability before filtering."""

    count: int
    probability: float


def below(logits: NDArray[np.float32], highest: float, temperature: float) -> NDArray[np.float64]:
    """(logit - highest) / temperature; at temperature 0, minus infinity for all but the highest."""
    found = np.subtract(logits, highest, dtype=np.float64)
    if temperature == 0:
        found[found < 0] = -math.inf
    else:
        with np.errstate(over="ignore"):  # overflow to minus infinity is correct
            found /= temperature
    return found


def weights(logits: NDArray[np.float32], highest: float, temperature: float) -> Weights:
    """See softmax.Weigh; any temperature."""
    large = len(logits) >= MANY and temperature > 0 and math.isfinite(1 / temperature)
    if large and (weigh := softmax.compiled()):
        return weigh(logits, highest, temperature)
    exponents = below(logits, highest, temperature)
    relative = np.exp(exponents)
    total = float(relative.sum())
    # Not a dot product: BLAS would start threads, which keep spinning.
    moment = float(np.einsum("i,i->", relative, exponents))
    if math.isnan(moment):  # 0 times minus infinity
        moment = float((relative * np.maximum(exponents, _NOTHING)).sum())
    return relative, total, moment / total


class Distribution:
    """softmax(logits / temperature); at temperature 0, all probability goes to the highest logit, ties share."""

    def __init__(self, logits: Tensor, temperature: float) -> None:
        """`logits`: (V,) float32, minus infinity for excluded tokens.

        Raises ComputeFailed for NaN or plus infinity, or if every token is excluded.
        """
        self._logits: NDArray[np.float32] = logits.numpy()
        self._temperature = temperature
        self._highest = float(self._logits.max())  # NaN if any logit is
        if not math.isfinite(self._highest):
            raise ComputeFailed("the model returned NaN or infinite logits; its weights may be corrupt")
        self._relative, self._total, self._mean_below = weights(self._logits, self._highest, temperature)

    def top(self, count: int) -> list[RankedToken]:
        """The `count` highest logits in descending order, ties by ascending id."""
        return self._describe(self._highest_ids(count), range(1, count + 1))

    def likeliest(self, count: int, least_logprob: float) -> tuple[list[int], list[float], list[float]]:
        """As `top`, but only possible tokens of at least that log-probability: ids, logits and log-probabilities."""
        ids = self._highest_ids(count)
        logprobs = self._logprobs(ids)
        ids = ids[: int(((logprobs >= least_logprob) & (logprobs > -math.inf)).sum())]
        return ids.tolist(), self._logits[ids].tolist(), logprobs[: len(ids)].tolist()

    def _highest_ids(self, count: int) -> NDArray[np.int64]:
        if "order" in self.__dict__:
            return self.order[:count]
        # At least `count` blocks have a logit >= the count-th highest block maximum: the top ones are among those.
        highest = np.maximum.reduceat(self._logits, np.arange(0, len(self._logits), _BLOCK))
        highest = highest if len(highest) >= count else self._logits
        lowest = np.partition(highest, -count)[-count]
        among = np.flatnonzero(self._logits >= lowest)  # in ascending order, with all ties
        return among[np.argsort(-self._logits[among], stable=True)[:count]]

    def total_of(self, token_ids: NDArray[np.int64]) -> float:
        """The total probability of different tokens."""
        whole = len(token_ids) == len(self._logits)
        return 1.0 if whole else min(1.0, float(self._relative[token_ids].sum()) / self._total)

    def places(self, token_ids: Sequence[int]) -> list[RankedToken]:
        """The given tokens, whatever their rank, in the given order."""
        ids = np.array(token_ids, dtype=np.int64)
        if len(ids) > _FEW:
            ranks = np.empty(len(self._logits), dtype=np.int64)
            ranks[self.order] = np.arange(1, len(ranks) + 1)
            return self._describe(ids, ranks[ids].tolist())
        return self._describe(ids, [self._rank(i) for i in token_ids])

    def other_probability(self, shown: Sequence[RankedToken]) -> float:
        """Total probability of the tokens not shown. Summed, since 1 - shown would lose small tails."""
        if not shown:
            return 1.0
        rest = self._relative.copy()
        rest[[place.token_id for place in shown]] = 0.0
        return min(1.0, float(rest.sum()) / self._total)

    @property
    def entropy_bits(self) -> float:
        """Entropy of the whole distribution."""
        return max(0.0, (math.log(self._total) - self._mean_below) / math.log(2))

    @property
    def log_sum_exp(self) -> float:
        """ln of the sum of exp(logit): a logit less this is a log-probability at temperature 1, whatever this one's."""
        if self._temperature == 1:
            return self._highest + math.log(self._total)
        _, total, _ = weights(self._logits, self._highest, 1.0)
        return self._highest + math.log(total)

    def kl_bits(self, other: "Distribution") -> float:
        """Kullback-Leibler divergence of this distribution from another one over the same tokens; may be infinite."""
        if other is self:
            return 0.0
        excluded = None if other._finite else np.isneginf(other._below)
        if excluded is not None and bool((self._relative[excluded] > 0).any()):
            return math.inf
        below = other._below if excluded is None else np.where(excluded, 0.0, other._below)
        mean = float(np.einsum("i,i->", self._relative, below)) / self._total  # no temporary array, no threads
        apart = self._mean_below - mean - math.log(self._total) + math.log(other._total)
        return max(0.0, apart / math.log(2))

    def keep(self, top_p: float, min_p: float) -> Kept:
        """The tokens that pass both top_p, in (0, 1], and min_p, in [0, 1]; 1 and 0 turn them off."""
        kept = Kept(len(self._logits), 1.0)
        if min_p > 0:
            likely = self._relative >= min_p
            kept = Kept(int(likely.sum()), min(1.0, float(self._relative[likely].sum()) / self._total))
        if top_p < 1:
            (last,) = self._crossings([top_p - ROUNDING], "left")
            if last.rank < kept.count:
                kept = Kept(last.rank, min(1.0, last.cumulated / self._total))
        return kept

    def sampled(self, kept: Kept) -> NDArray[np.float64]:
        """Each token's log-probability when sampling from the kept ones; minus infinity for the others."""
        logprobs = self._below - math.log(self._total)
        if kept.count < len(logprobs):
            cut = self.order[kept.count :]
            logprobs[cut] = -math.inf
            logprobs -= math.log(float(np.exp(logprobs).sum()))
        return logprobs

    def draw(self, draws: Sequence[float], kept: Kept) -> list[RankedToken]:
        """For each number in [0, 1), the token at that point of the cumulative distribution of the kept tokens."""
        if not draws:
            return []
        found = self._crossings([draw * kept.probability for draw in draws], "right")
        for at, place in enumerate(found):
            if place.rank > kept.count:  # by rounding
                (found[at],) = self._crossings([kept.probability - ROUNDING], "left")
        return self._describe(np.array([each.place for each in found], dtype=np.int64), [each.rank for each in found])

    def partition(self) -> list[PartitionPoint]:
        """See log_partition; independent of the distribution's own temperature."""
        return partition(self._logits, self._highest)

    def partition_at_zero(self) -> PartitionPoint:
        """As `partition`, at inverse temperature 0."""
        return at_zero(self._logits)

    def _crossings(self, points: Sequence[float], side: Side) -> list[Crossing]:
        """Where the cumulative probability passes each point: mostly among a few tokens, which are found sooner."""
        ids, cumulated = self._likeliest
        weights = [point * self._total for point in points]
        ranks = np.searchsorted(cumulated, weights, side).tolist()
        if max(ranks, default=0) == len(ids):
            return self._ranking.crossings(weights, side)
        return [Crossing(int(ids[at]), at + 1, float(cumulated[at])) for at in ranks]

    @cached_property
    def _likeliest(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """A few ids by rank, and the cumulated `_relative`."""
        ids = self._highest_ids(min(_FEW, len(self._logits)))
        return ids, np.cumsum(self._relative[ids])

    @cached_property
    def _ranking(self) -> Ranking:
        return Ranking(np.negative(self._logits), self._relative, -self._mean_below * self._temperature)

    @cached_property
    def _below(self) -> NDArray[np.float64]:
        """Of each token, the scaled logit less the highest one."""
        return below(self._logits, self._highest, self._temperature)

    def _logprobs(self, ids: NDArray[np.int64]) -> NDArray[np.float64]:
        """Of some tokens."""
        return below(self._logits[ids], self._highest, self._temperature) - math.log(self._total)

    @cached_property
    def _finite(self) -> bool:
        """Whether no token is excluded."""
        return math.isfinite(float(self._below.min()))

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """All ids by rank."""
        # Sorts int64 keys, several times as fast as a stable sort of floats: the logit's bits, mapped so that they rise
        # as it falls, with the id in the low half.
        bits = np.subtract(np.float32(0), self._logits).view(np.int32)
        falling = (bits ^ (bits >> 31 & 0x7FFFFFFF)).astype(np.int64)
        return np.sort(falling << 32 | np.arange(len(bits))) & 0xFFFFFFFF

    def _rank(self, token_id: int) -> int:
        logit = self._logits[token_id]
        before = np.count_nonzero(self._logits > logit) + np.count_nonzero(self._logits[:token_id] == logit)
        return 1 + int(before)

    def _describe(self, ids: NDArray[np.int64], ranks: Sequence[int]) -> list[RankedToken]:
        probabilities = self._relative[ids] / self._total
        logprobs = self._logprobs(ids)
        logprobs[probabilities == 0] = -math.inf  # as the API says, also for underflow
        rows = zip(*(each.tolist() for each in (ids, self._logits[ids], probabilities, logprobs)), strict=True)
        return [
            RankedToken(token_id, rank, logit, probability, logprob)
            for rank, (token_id, logit, probability, logprob) in zip(ranks, rows, strict=True)
        ]
