"""What the logits before each token of a text say of it, for many tokens at once. Knows no models.

The numbers are those of `Distribution`, of which this is the form for blocks of rows at temperature 1.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from inference_server.distribution import Distribution, Place
from inference_server.errors import ComputeFailed

BLOCK = 16  # rows described at once, which stay in a core's cache


@dataclass(frozen=True, slots=True)
class ScoredRow:
    """The token that followed, the entropy in bits there, and the likeliest tokens in its stead."""

    place: Place
    entropy_bits: float
    alternatives: Sequence[Place]


def score_rows(logits: Tensor, followed: Sequence[int], alternatives: int) -> Iterator[ScoredRow]:
    """Logits (n, V) in float32 and the n tokens that followed; with the `alternatives` likeliest tokens at each.

    Raises ComputeFailed where the logits hold NaN or plus infinity, or rule every token out.
    """
    for first in range(0, len(followed), BLOCK):
        yield from _score_block(logits[first : first + BLOCK], followed[first : first + BLOCK], alternatives)


def _score_block(logits: Tensor, followed: Sequence[int], alternatives: int) -> Iterator[ScoredRow]:
    highest = logits.amax(1, keepdim=True)  # NaN where any logit is
    if not highest.isfinite().all():
        raise ComputeFailed("the model's output is not a number; its weights may be damaged")
    below = logits.double().sub_(highest)
    relative = below.exp()  # probability over that of the most likely token
    totals = relative.sum(1)
    # Where a probability is 0, minus infinity times it is no number, and adds nothing to the entropy.
    entropies = (totals.log() - relative.mul(below).nan_to_num_(0.0).sum(1) / totals) / math.log(2)
    ids = torch.tensor(followed)[:, None]
    own = logits.gather(1, ids)
    equal = (logits == own) & (torch.arange(logits.shape[1]) < ids)
    ranks = 1 + (logits > own).sum(1) + equal.sum(1)
    columns = (ids, own, relative.gather(1, ids) / totals[:, None], totals[:, None].log())
    rows = zip(*(column[:, 0].tolist() for column in columns), ranks.tolist(), entropies.tolist(), strict=True)
    tops = _tops(logits, relative, totals, alternatives) if alternatives else [()] * len(followed)
    for (token_id, logit, probability, shift, rank, entropy), high, top in zip(
        rows, highest[:, 0].tolist(), tops, strict=True
    ):
        logprob = logit - high - shift if probability else -math.inf
        yield ScoredRow(Place(token_id, rank, logit, probability, logprob), max(0.0, entropy), top)


def _tops(logits: Tensor, relative: Tensor, totals: Tensor, count: int) -> list[Sequence[Place]]:
    """The `count` most likely tokens of each row by descending logit, equal logits by ascending id."""
    found = logits.topk(count).indices.sort(1).values
    order = logits.gather(1, found).argsort(dim=1, descending=True, stable=True)
    ids = found.gather(1, order)
    values = logits.gather(1, ids)
    # Of several equal logits at the edge, topk takes any.
    clear = ((logits >= values[:, -1:]).sum(1) == count).tolist()
    highest = values[:, :1].double()
    probabilities = relative.gather(1, ids) / totals[:, None]
    logprobs = (values.double() - highest - totals.log()[:, None]).masked_fill_(probabilities == 0, -math.inf)
    columns = (ids.tolist(), values.tolist(), probabilities.tolist(), logprobs.tolist())
    return [
        [Place(token_id, rank, *rest) for rank, (token_id, *rest) in enumerate(zip(*row, strict=True), 1)]
        if sure
        else Distribution(logits[at], 1.0).top(count)
        for at, (sure, *row) in enumerate(zip(clear, *columns, strict=True))
    ]
