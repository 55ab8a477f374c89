"""What Generate is asked and answers, as plain values."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from inference_server.messages import TOKEN, Candidate, PartitionPoint, Sampling, Timings
from inference_server.sampler_messages import Sampler

MAX_NEW_TOKENS = 1_000_000
MAX_SEED = 2**53 - 1  # exact in JSON
MAX_CONTINUATIONS = 16
MAX_STOPS = 16
MAX_STOP_BYTES = 256
MAX_STOP_TOKENS = 64


@dataclass(frozen=True, slots=True)
class GeneratedSoFar:
    """What one continuation had generated when its stream broke off."""

    index: int
    token_ids: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class GenerateQuery:
    """A prompt, as text or as token ids (exactly one is not None), and how to continue it."""

    text: str | None = None
    token_ids: Sequence[int] | None = None
    max_tokens: int = 128
    temperature: float = 1.0
    top_p: float = 1.0
    min_p: float = 0.0
    seed: int | None = None
    n: int = 1
    stop: Sequence[str] = ()
    stop_token_ids: Sequence[int] | None = None
    """None: the model's end-of-text tokens."""
    top_k: int = 0
    resume: Sequence[GeneratedSoFar] = ()
    include_partition: bool = False
    samplers: Sequence[Sampler] = ()
    special: str = TOKEN


@dataclass(frozen=True, slots=True)
class GenerateStart:
    """The first event of a generation."""

    token_ids: Sequence[int]
    seed: int
    context_limit: int


@dataclass(frozen=True, slots=True)
class GeneratedToken:
    """The next token of a continuation, and the most likely ones at its position."""

    index: int
    token: Candidate
    candidates: Sequence[Candidate]
    entropy_bits: float
    kept_count: int
    kept_probability: float
    other_probability: float
    partition: Sequence[PartitionPoint] = ()
    log_sum_exp: float = 0.0
    """Of all logits: a logit less this is a log-probability at temperature 1."""
    sampling: Sampling | None = None
    partition_at_zero: PartitionPoint | None = None


class FinishReason(Enum):
    """Why a continuation ended; names as in the contract."""

    STOP_TOKEN = "stop_token"  # noqa: S105 - no password
    STOP_TEXT = "stop_text"
    LENGTH = "length"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class GenerateFinish:
    """The end of a continuation; field meanings are those of the contract."""

    index: int
    finish_reason: FinishReason
    text: str
    token_count: int
    timings: Timings
    stop_token_id: int | None = None
    stop_text: str | None = None


GenerateEvent = GenerateStart | GeneratedToken | GenerateFinish
