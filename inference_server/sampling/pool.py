"""Tokens in play while sampler steps remove some and change the scores of others. Float64."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from inference_server.sampler_messages import Penalty
from inference_server.sampling.ranking import Ranking

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class History:
    """The ids before the token that is sampled, and how many of them come before the answer."""

    token_ids: Sequence[int] = ()
    answer_start: int = 0

    def counted(self, penalty: Penalty) -> tuple[Ints, Ints]:
        """The ids that a penalty counts, ascending, and how often each occurs."""
        ids = self.token_ids[self.answer_start if penalty.ignore_prompt else 0 :]
        if penalty.last is not None:
            ids = ids[max(0, len(ids) - penalty.last) :]
        found: tuple[Ints, Ints] = np.unique(np.asarray(ids, dtype=np.int64), return_counts=True)
        return found


class Pool:
    """Tokens still in play, in ascending order of id, and their scores: logits, as changed so far."""

    def __init__(self, ids: Ints, scores: Floats) -> None:
        self.ids, self.scores = ids, scores

    def keep(self, mask: Mask) -> "Pool":
        """The tokens where the mask is set."""
        return self if mask.all() else Pool(self.ids[mask], self.scores[mask])

    def shift(self, token_ids: Ints, change: Callable[[Floats, Mask], Floats]) -> "Pool":
        """With the scores of these tokens changed; `change` is told which of them are in play. Ids ascending."""
        if not len(self.ids):
            return self
        at = np.minimum(np.searchsorted(self.ids, token_ids), len(self.ids) - 1)
        here = self.ids[at] == token_ids
        scores = self.scores.copy()
        scores[at[here]] = change(scores[at[here]], here)
        return Pool(self.ids, scores)

    @cached_property
    def relative(self) -> Floats:
        """Probabilities over that of the likeliest token."""
        weights: Floats = np.exp(self.scores - self.scores.max())
        return weights

    @cached_property
    def total(self) -> float:
        return float(self.relative.sum())

    @cached_property
    def probabilities(self) -> Floats:
        return self.relative / self.total

    @cached_property
    def logprobs(self) -> Floats:
        logs: Floats = self.scores - self.scores.max() - math.log(self.total)
        return logs

    @cached_property
    def entropy(self) -> float:
        """In nats."""
        possible = self.probabilities > 0
        return max(0.0, -float((self.probabilities[possible] * self.logprobs[possible]).sum()))

    def highest(self, count: int) -> Ints:
        """Where the `count` highest scores are, in descending order, ties by ascending id."""
        among = np.arange(len(self.scores))
        if count < len(among):
            among = np.flatnonzero(self.scores >= np.partition(self.scores, -count)[-count])
        found: Ints = among[np.argsort(-self.scores[among], kind="stable")][:count]
        return found

    @cached_property
    def ranking(self) -> Ranking:
        """By descending score."""
        return Ranking(-self.scores, self.probabilities)
