"""Sampler steps and what each did, as plain values. What a step does: sampling/samplers.py."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

MAX_SAMPLER_TOKENS = 1000
MAX_SAMPLER_COUNT = 2**31 - 1
MAX_BIAS = 100.0
MAX_REPETITION = 100.0
MAX_PENALTY = 2.0
MAX_SIGMAS = 100.0
MAX_CHOICES = 1000
MAX_MASK_BYTES = 65_536

REPETITION, FREQUENCY, PRESENCE = "repetition_penalty", "frequency_penalty", "presence_penalty"
CHOICES, REGEX, JSON_SCHEMA, GRAMMAR = "choices", "regex", "json_schema", "grammar"


@dataclass(frozen=True, slots=True)
class Amount:
    """A step with one number: temperature, top_k, top_p, min_p, typical_p, top_n_sigma, epsilon, eta or top_h."""

    name: str
    amount: float


@dataclass(frozen=True, slots=True)
class Xtc:
    """Removes the likeliest choices."""

    probability: float = 0.0
    threshold: float = 0.1
    coin: float | None = None
    """Below `probability` the step acts; None: 0, or drawn from the seed."""
    name: str = "xtc"


@dataclass(frozen=True, slots=True)
class LogitBias:
    """Adds to the scores of some tokens."""

    token_ids: Sequence[int]
    biases: Sequence[float]
    name: str = "logit_bias"


@dataclass(frozen=True, slots=True)
class Ban:
    """Removes some tokens."""

    token_ids: Sequence[int]
    name: str = "ban"


@dataclass(frozen=True, slots=True)
class Penalty:
    """Changes the scores of tokens that the text has: one of REPETITION, FREQUENCY and PRESENCE."""

    name: str
    penalty: float
    last: int | None = None
    """Only so many of the last ids count; None: all."""
    ignore_prompt: bool = False
    """Only ids of the answer count."""


@dataclass(frozen=True, slots=True)
class TextMask:
    """Keeps only the tokens with which a text goes on that a form allows."""

    kind: str
    """CHOICES, REGEX, JSON_SCHEMA or GRAMMAR."""
    source: Sequence[str]
    """The choices; else one text."""
    allowed: Any = field(default=None, compare=False)
    """(V,) bool: the tokens that may come next; None until they are known."""
    name: str = "mask"


Sampler = Amount | Xtc | LogitBias | Ban | Penalty | TextMask


@dataclass(frozen=True, slots=True)
class SamplerResult:
    """What one step left: tokens, and the share of the probability that entered it."""

    count: int
    probability: float


@dataclass(frozen=True, slots=True)
class Sampled:
    """A token after all steps: its probability, and the step that removed it."""

    probability: float
    logprob: float
    fell_at: int | None = None
