"""An ordered list of sampler steps over one row of logits: what each step left, and the distribution after all."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from inference_server.errors import InvalidField
from inference_server.sampler_messages import Sampled, Sampler, SamplerResult
from inference_server.sampling.pool import History, Ints, Pool
from inference_server.sampling.samplers import apply


class Pipeline:
    """The distribution after all steps. The first of equally likely tokens is that with the lowest id."""

    def __init__(self, logits: Tensor, samplers: Sequence[Sampler], history: History) -> None:
        """`logits`: (V,) float32, minus infinity for excluded tokens, and some finite.

        Raises InvalidField if a step leaves no token.
        """
        row: NDArray[np.float32] = logits.numpy()
        ids = np.flatnonzero(row > -math.inf)
        self._size = len(row)
        self._removed: list[tuple[int, Ints]] = []
        """Steps that removed tokens, and the ids that each left."""
        self.results: list[SamplerResult] = []
        pool = Pool(ids, row[ids].astype(np.float64))
        for at, step in enumerate(samplers):
            left = apply(step, pool, history)
            if not len(left.ids):
                raise InvalidField("samplers", f"step {at} ({step.name}) leaves no token that may come next")
            share = 1.0
            if len(left.ids) < len(pool.ids):
                self._removed.append((at, left.ids))
                share = min(1.0, float(pool.probabilities[np.searchsorted(pool.ids, left.ids)].sum()))
            self.results.append(SamplerResult(len(left.ids), share))
            pool = left
        self._pool = pool

    @property
    def kept(self) -> Ints:
        """The ids that may come next, ascending."""
        return self._pool.ids

    @property
    def entropy_bits(self) -> float:
        return self._pool.entropy / math.log(2)

    def likeliest(self, count: int) -> list[int]:
        """At most `count` ids in descending order of probability."""
        found: list[int] = self._pool.ids[self._pool.highest(count)].tolist()
        return found

    def sampled(self, token_id: int) -> Sampled:
        """A token's place in the distribution."""
        at = int(np.searchsorted(self._pool.ids, token_id))
        if at < len(self._pool.ids) and self._pool.ids[at] == token_id:
            probability = float(self._pool.probabilities[at])
            return Sampled(probability, float(self._pool.logprobs[at]) if probability else -math.inf)
        return Sampled(0.0, -math.inf, next((step for step, left in self._removed if not _has(left, token_id)), None))

    def logprobs(self) -> NDArray[np.float64]:
        """(V,): minus infinity for tokens that were removed."""
        found = np.full(self._size, -math.inf)
        found[self._pool.ids] = self._pool.logprobs
        return found

    def draw(self, points: Sequence[float]) -> list[int]:
        """For each number in [0, 1), the id at that point of the cumulative distribution, in descending order."""
        places = [crossing.place for crossing in self._pool.ranking.crossings(points, "right")]
        found: list[int] = self._pool.ids[places].tolist()
        return found


def _has(ids: Ints, token_id: int) -> bool:
    at = int(np.searchsorted(ids, token_id))
    return at < len(ids) and int(ids[at]) == token_id
