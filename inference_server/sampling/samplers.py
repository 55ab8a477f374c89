"""The sampler steps: what each makes of the tokens that the steps before it left.

Definitions are those of transformers' logits processors, or of llama.cpp for top_n_sigma and xtc, which transformers
lacks; docs/samplers.md has both and where they differ. Float64.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from inference_server.sampler_messages import (
    FREQUENCY,
    PRESENCE,
    REPETITION,
    Amount,
    Ban,
    LogitBias,
    Penalty,
    Sampler,
    TextMask,
    Xtc,
)
from inference_server.sampling.pool import Floats, History, Ints, Mask, Pool
from inference_server.sampling.ranking import Ranking

ROUNDING = 1e-12  # of summed float64 probabilities
TOP_H_TOKENS = 100  # top_h sees no more, as in transformers
MAX_XTC_THRESHOLD = 0.5


def apply(step: Sampler, pool: Pool, history: History) -> Pool:
    """The tokens and scores that a step leaves of at least one token; may be none for a ban or a mask."""
    match step:
        case Amount():
            return AMOUNTS[step.name](pool, step.amount)
        case Xtc():
            return xtc(pool, step)
        case LogitBias():
            return logit_bias(pool, step)
        case Ban():
            return pool.keep(~np.isin(pool.ids, np.asarray(step.token_ids, dtype=np.int64)))
        case Penalty():
            return penalize(pool, step, history)
        case TextMask():
            return pool.keep(step.allowed[pool.ids])


def temperature(pool: Pool, amount: float) -> Pool:
    """Divides the scores; 0 keeps the highest ones."""
    if amount == 0:
        return pool.keep(pool.scores == pool.scores.max())
    with np.errstate(over="ignore"):
        scores = pool.scores / amount
        if not math.isfinite(scores.max()):  # only differences matter, but for a penalty
            scores = (pool.scores - pool.scores.max()) / amount
    return Pool(pool.ids, scores).keep(scores > -math.inf)


def top_k(pool: Pool, count: float) -> Pool:
    """The highest scores, with all that equal the last of them."""
    if count >= len(pool.ids):
        return pool
    least = np.partition(pool.scores, -int(count))[-int(count)]
    return pool.keep(pool.scores >= least)


def top_p(pool: Pool, mass: float) -> Pool:
    """The fewest likeliest tokens with at least that probability."""
    if mass >= 1:
        return pool
    last = pool.ranking.crossing(mass - ROUNDING, "left").place
    alike = pool.scores == pool.scores[last]
    alike[last + 1 :] = False
    return pool.keep((pool.scores > pool.scores[last]) | alike)


def min_p(pool: Pool, least: float) -> Pool:
    """Tokens at least that fraction as likely as the likeliest."""
    return pool.keep(pool.relative >= least)


def typical_p(pool: Pool, mass: float) -> Pool:
    """The tokens whose surprise is nearest the entropy, as many as reach that probability, with all as near."""
    if mass >= 1:
        return pool
    away = np.abs(-pool.logprobs - pool.entropy)
    return pool.keep(away <= away[Ranking(away, pool.probabilities).crossing(mass, "left").place])


def top_n_sigma(pool: Pool, sigmas: float) -> Pool:
    """Scores at most so many standard deviations, of all scores in play, below the highest."""
    return pool.keep(pool.scores >= pool.scores.max() - sigmas * float(pool.scores.std()))


def epsilon(pool: Pool, least: float) -> Pool:
    """Tokens of at least that probability, and the likeliest."""
    return pool.keep((pool.probabilities >= least) | (pool.scores == pool.scores.max()))


def eta(pool: Pool, least: float) -> Pool:
    """As epsilon, less where the entropy is high: min(e, sqrt(e) * exp(-entropy)), as transformers computes it."""
    return epsilon(pool, min(least, math.sqrt(least) * math.exp(-pool.entropy)))


def top_h(pool: Pool, share: float) -> Pool:
    """Of the 100 likeliest tokens as many as their cumulative entropy stays within that share of theirs together."""
    at = pool.highest(TOP_H_TOKENS)
    top = Pool(at, pool.scores[at])
    terms = -np.where(top.probabilities > 0, top.probabilities * top.logprobs, 0.0)
    within = (np.cumsum(terms) <= share * top.entropy + ROUNDING) & (top.probabilities > 0)
    return _only(pool, at[: max(1, int(within.sum()))])


AMOUNTS: dict[str, Callable[[Pool, float], Pool]] = {
    "temperature": temperature,
    "top_k": top_k,
    "top_p": top_p,
    "min_p": min_p,
    "typical_p": typical_p,
    "top_n_sigma": top_n_sigma,
    "epsilon": epsilon,
    "eta": eta,
    "top_h": top_h,
}


def xtc(pool: Pool, step: Xtc) -> Pool:
    """If the coin says so, only the least likely of the tokens above the threshold, and those below it."""
    if step.threshold > MAX_XTC_THRESHOLD or (step.coin or 0.0) >= step.probability:
        return pool
    above = np.flatnonzero(pool.probabilities >= step.threshold)
    if len(above) < 2:
        return pool
    mask = np.ones(len(pool.ids), dtype=bool)
    mask[above] = False
    mask[above[np.flatnonzero(pool.scores[above] == pool.scores[above].min())[-1]]] = True
    return pool.keep(mask)


def logit_bias(pool: Pool, step: LogitBias) -> Pool:
    """Adds to scores; tokens that are out stay out."""
    ids, biases = np.asarray(step.token_ids, dtype=np.int64), np.asarray(step.biases)
    order = np.argsort(ids)
    return pool.shift(ids[order], lambda scores, here: scores + biases[order][here])


def penalize(pool: Pool, step: Penalty, history: History) -> Pool:
    """Lowers the scores of tokens that the history has; negative penalties, and repetition below 1, raise them."""
    ids, counts = history.counted(step)
    changes: dict[str, Callable[[Floats, Mask], Any]] = {
        REPETITION: lambda scores, _: np.where(scores < 0, scores * step.penalty, scores / step.penalty),
        FREQUENCY: lambda scores, here: scores - step.penalty * counts[here],
        PRESENCE: lambda scores, _: scores - step.penalty,
    }
    return pool.shift(ids, changes[step.name])


def _only(pool: Pool, at: Ints) -> Pool:
    """The tokens at these places."""
    mask = np.zeros(len(pool.ids), dtype=bool)
    mask[at] = True
    return pool.keep(mask)
