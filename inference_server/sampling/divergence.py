"""How two distributions differ over everything that either can give. Float64, in bits where it says so.

A distribution here is the one that tokens are sampled from: softmax(logits / temperature), cut by top-p and min-p and
renormalized, or what sampler steps leave. Both are over units, which tokens of two vocabularies may share (see
tokenizer.alignment).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from inference_server.compare_messages import ComparedPlace
from inference_server.sampling.distribution import Distribution, Kept
from inference_server.sampling.pipeline import Pipeline

Logs = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Divergences:
    """Of two distributions over the same units."""

    kl_a_b_bits: float
    kl_b_a_bits: float
    js_bits: float
    total_variation: float


class Side:
    """One of the two distributions."""

    def __init__(
        self,
        distribution: Distribution,
        top_p: float,
        min_p: float,
        units: Sequence[int],
        count: int,
        steps: Pipeline | None = None,
    ) -> None:
        """`units`: the unit of each token, one of `count`. `steps`: what is left if there are any."""
        self._units = np.asarray(units)
        self._distribution = distribution
        self._count = count
        if steps is None:
            self.kept = distribution.keep(top_p, min_p)
            sampled = distribution.sampled(self.kept)
        else:
            self.kept = Kept(len(steps.kept), distribution.total_of(steps.kept))
            sampled = steps.logprobs()
        self.entropy_bits = max(0.0, -_expected(np.exp(sampled), sampled) / math.log(2))
        self.logprobs = _summed(sampled, self._units, count)
        self.probabilities = np.exp(self.logprobs)

    def place(self, unit: int) -> ComparedPlace | None:
        """The likeliest token that stands for the unit, and the probability of all that do; None if none does."""
        rank = int(self._ranks[unit])
        if not rank:
            return None
        likeliest = int(self._distribution.order[self._first[unit]])
        probability = float(self.probabilities[unit])
        return ComparedPlace(likeliest, rank, probability, float(self.logprobs[unit]) if probability else -math.inf)

    @cached_property
    def order(self) -> Ints:
        """Its units by rank: by probability before top-p and min-p; equal ones as their likeliest tokens rank."""
        present = np.flatnonzero(self._first < len(self._units))
        present = present[np.argsort(self._first[present])]
        if len(present) < len(self._units):  # some are several tokens' sum
            uncut = self._distribution.sampled(self._distribution.keep(1.0, 0.0))
            present = present[np.argsort(-_summed(uncut, self._units, self._count)[present], kind="stable")]
        return present

    @cached_property
    def _first(self) -> Ints:
        """Where in the order of tokens each unit's likeliest one is; for units without any, behind all."""
        first = np.full(self._count, len(self._units))
        first[self._units[self._distribution.order[::-1]]] = np.arange(len(self._units))[::-1]
        return first

    @cached_property
    def _ranks(self) -> Ints:
        """The rank of each unit; 0 for those that no token stands for."""
        ranks = np.zeros(self._count, dtype=np.int64)
        ranks[self.order] = np.arange(1, len(self.order) + 1)
        return ranks


class Difference:
    """Two sides over the same units, of which the first `shared` are on both."""

    def __init__(self, a: Side, b: Side, shared: int) -> None:
        self.a, self.b, self._shared = a, b, shared

    @property
    def unmatched(self) -> tuple[float, float]:
        """How much probability lies on units that the other side doesn't have."""
        return (float(self.a.probabilities[self._shared :].sum()), float(self.b.probabilities[self._shared :].sum()))

    def divergences(self) -> Divergences:
        """Of what both sides share, each renormalized to that."""
        return divergences(self.a.logprobs[: self._shared], self.b.logprobs[: self._shared])

    def top(self, count: int) -> list[int]:
        """The `count` highest units of either side, by their higher probability."""
        units = np.union1d(self.a.order[:count], self.b.order[:count])
        highest = np.maximum(self.a.probabilities, self.b.probabilities)[units]
        found: list[int] = units[np.argsort(-highest, kind="stable")].tolist()
        return found

    def gained(self, count: int) -> list[int]:
        """At most `count` shared units that are likelier in `b` than in `a`, the largest difference first."""
        return _largest(self.b.probabilities[: self._shared] - self.a.probabilities[: self._shared], count)

    def lost(self, count: int) -> list[int]:
        """As `gained`, for units that are likelier in `a`."""
        return _largest(self.a.probabilities[: self._shared] - self.b.probabilities[: self._shared], count)

    def overlap(self, count: int) -> list[int]:
        """For each n up to `count`, how many units are among the n highest of both sides."""
        seen_a, seen_b, both, found = set[int](), set[int](), 0, []
        for unit_a, unit_b in zip(self.a.order[:count].tolist(), self.b.order[:count].tolist(), strict=False):
            both += (unit_a == unit_b) + (unit_a in seen_b) + (unit_b in seen_a)
            seen_a.add(unit_a)
            seen_b.add(unit_b)
            found.append(both)
        return found


def divergences(a: Logs, b: Logs) -> Divergences:
    """Of two arrays of log-probabilities, each renormalized; if one has no probability at all, they share nothing."""
    total_a, total_b = float(np.exp(a).sum()), float(np.exp(b).sum())
    if not total_a or not total_b:
        return Divergences(math.inf, math.inf, 1.0, 1.0)
    a, b = a - math.log(total_a), b - math.log(total_b)
    p, q = np.exp(a), np.exp(b)
    middle = np.logaddexp(a, b)  # of twice the mean
    half = _relative(p, a, middle) + _relative(q, b, middle)
    return Divergences(
        kl_a_b_bits=max(0.0, _relative(p, a, b)),
        kl_b_a_bits=max(0.0, _relative(q, b, a)),
        js_bits=min(1.0, max(0.0, 1.0 + half / 2)),
        total_variation=min(1.0, float(np.abs(p - q).sum()) / 2),
    )


def _relative(p: Logs, of: Logs, to: Logs) -> float:
    """The mean, by `p`, of log2 of one probability over another; infinite where only the other is 0."""
    possible = p > 0
    return float((p[possible] * (of[possible] - to[possible])).sum()) / math.log(2)


def _expected(p: Logs, values: Logs) -> float:
    possible = p > 0
    return float((p[possible] * values[possible]).sum())


def _summed(logprobs: Logs, units: NDArray[np.int32], count: int) -> Logs:
    """The log of the sum of the probabilities of each unit's tokens; minus infinity for units without any."""
    highest = np.full(count, -math.inf)
    np.maximum.at(highest, units, logprobs)
    base = np.where(np.isfinite(highest), highest, 0.0)
    with np.errstate(divide="ignore"):
        sums: Logs = np.log(np.bincount(units, np.exp(logprobs - base[units]), count))
    return sums + base


def _largest(change: Logs, count: int) -> list[int]:
    """Where the change is positive, at most `count`, the largest first."""
    count = min(count, len(change))
    among = np.argpartition(-change, count - 1)[:count] if count else np.arange(0)
    found: list[int] = among[np.lexsort((among, -change[among]))].tolist()
    return [unit for unit in found if change[unit] > 0]
