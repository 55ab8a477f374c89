"""From logits to everything an answer says of them: ranks, probabilities, cut-offs, entropy. Knows no models.

Logits come as one float32 row over the whole vocabulary, on the CPU; arithmetic is float64 and centred on the highest
logit, so neither a tiny temperature nor a far tail yields NaN.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from inference_server.errors import ComputeFailed
from inference_server.partition import partition
from inference_server.values import PartitionPoint

ROUNDING = 1e-12  # what summing float64 probabilities may lose; far below what float32 logits can tell apart


@dataclass(frozen=True, slots=True)
class Place:
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
        self.logits = logits
        self._highest = float(logits.max())  # NaN where any logit is
        if not math.isfinite(self._highest):
            raise ComputeFailed("the model's output is not a number; its weights may be damaged")
        below = logits.double() - self._highest
        if temperature == 0:
            below.masked_fill_(below < 0, -math.inf)
        else:
            below.div_(temperature)
        self._relative = below.exp()  # probability over that of the most likely token
        total = float(self._relative.sum())
        self._probabilities = self._relative / total
        # Minus infinity wherever the probability is 0, as the contract says, also where it is merely too small to hold.
        self._logprobs = (below - math.log(total)).masked_fill_(self._probabilities == 0, -math.inf)

    def top(self, count: int) -> list[Place]:
        """The `count` most likely tokens by descending logit, equal logits by ascending id."""
        if "_order" in self.__dict__:
            ids = self._order[:count]
        else:
            lowest = self.logits.topk(count).values[-1]
            among = (self.logits >= lowest).nonzero().squeeze(1)  # ascending ids, every tie at the edge included
            ids = among[self.logits[among].argsort(descending=True, stable=True)[:count]]
        return self._describe(ids, range(1, count + 1))

    def places(self, token_ids: Sequence[int]) -> list[Place]:
        """The given tokens wherever they rank, in the given order."""
        return self._describe(torch.tensor(token_ids, dtype=torch.long), [self._rank(i) for i in token_ids])

    def other_probability(self, shown: Sequence[Place]) -> float:
        """Summed probability of every token not shown, in [0, 1]; no difference from 1, which loses small tails."""
        rest = self._probabilities.clone()
        rest[[place.token_id for place in shown]] = 0.0
        return min(1.0, float(rest.sum()))

    @property
    def entropy_bits(self) -> float:
        """Entropy of the whole distribution."""
        return float(torch.special.entr(self._probabilities).sum()) / math.log(2) + 0.0  # -0.0 becomes 0.0

    def keep(self, top_p: float, min_p: float) -> Kept:
        """What top_p, in (0, 1], and min_p, in [0, 1], leave together; 1 and 0 cut nothing."""
        count = int((self._relative >= min_p).sum()) if min_p > 0 else len(self.logits)
        if top_p < 1:
            count = min(count, int((self._cumulated < top_p - ROUNDING).sum()) + 1)
        if count == len(self.logits):
            return Kept(count, 1.0)
        return Kept(count, min(1.0, float(self._cumulated[count - 1])))

    def draw(self, draws: Sequence[float], kept: Kept) -> list[Place]:
        """For each number in [0, 1), the token at that point of the kept, renormalised, descending distribution."""
        if not draws:
            return []
        cumulated = self._cumulated[: kept.count]
        points = torch.tensor(draws, dtype=torch.float64) * cumulated[-1]
        last = torch.searchsorted(cumulated, cumulated[-1:])  # the last token of any probability
        at = torch.searchsorted(cumulated, points, right=True).minimum(last)
        return self._describe(self._order[at], (at + 1).tolist())

    def partition(self) -> list[PartitionPoint]:
        """Log-sum-exp of logit * b, and mean and variance of the logit, at each b of INVERSE_TEMPERATURES.

        Of the logits alone: the distribution's own temperature plays no part.
        """
        return partition(self.logits, self._highest)

    @cached_property
    def _order(self) -> Tensor:
        """Every id, by rank."""
        return self.logits.argsort(descending=True, stable=True)

    @cached_property
    def _cumulated(self) -> Tensor:
        """Summed probability of the tokens up to each rank."""
        return self._probabilities[self._order].cumsum(0)

    def _rank(self, token_id: int) -> int:
        logit = self.logits[token_id]
        return 1 + int((self.logits > logit).sum()) + int((self.logits[:token_id] == logit).sum())

    def _describe(self, ids: Tensor, ranks: Sequence[int]) -> list[Place]:
        columns = (ids, self.logits[ids], self._probabilities[ids], self._logprobs[ids])
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return [
            Place(token_id, rank, logit, probability, logprob)
            for rank, (token_id, logit, probability, logprob) in zip(ranks, rows, strict=True)
        ]
