"""Comparing two next-token distributions: the request and the answer as plain values."""

from collections.abc import Sequence
from dataclasses import dataclass

from inference_server.messages import TOKEN, Timings, Token
from inference_server.sampler_messages import Sampler, SamplerResult

MAX_COMPARED = 100


@dataclass(frozen=True, slots=True)
class ComparedQuestion:
    """A prompt, as text or as token ids (exactly one is not None), and how tokens are sampled after it."""

    text: str | None = None
    token_ids: Sequence[int] | None = None
    temperature: float = 1.0
    top_p: float = 1.0
    min_p: float = 0.0
    samplers: Sequence[Sampler] = ()
    answer_start: int | None = None
    constrained_from: int | None = None
    special: str = TOKEN


@dataclass(frozen=True, slots=True)
class CompareQuery:
    """Two questions, and how many tokens to list of each kind."""

    a: ComparedQuestion = ComparedQuestion()
    b: ComparedQuestion = ComparedQuestion()
    top_k: int = 10
    include_prompt_tokens: bool = False


@dataclass(frozen=True, slots=True)
class ComparedSide:
    """One of two compared distributions."""

    model: str
    token_count: int
    cached_tokens: int
    context_limit: int
    kept_count: int
    kept_probability: float
    entropy_bits: float
    vocab_size: int
    prompt_tokens: Sequence[Token] = ()
    steps: Sequence[SamplerResult] = ()


@dataclass(frozen=True, slots=True)
class ComparedPlace:
    """A token's place in one of two compared distributions."""

    token_id: int
    rank: int
    probability: float
    logprob: float


@dataclass(frozen=True, slots=True)
class ComparedToken:
    """A token and its places; None on a side whose model has no such token."""

    token: Token
    a: ComparedPlace | None
    b: ComparedPlace | None


@dataclass(frozen=True, slots=True)
class Unmatched:
    """How much probability each side gives to tokens that the other side's model does not have."""

    a: float
    b: float


@dataclass(frozen=True, slots=True)
class CompareAnswer:
    """The answer to a CompareQuery; field meanings are those of the contract."""

    a: ComparedSide
    b: ComparedSide
    kl_a_b_bits: float
    kl_b_a_bits: float
    js_bits: float
    total_variation: float
    candidates: Sequence[ComparedToken]
    gained: Sequence[ComparedToken]
    lost: Sequence[ComparedToken]
    overlap: Sequence[int]
    unmatched: Unmatched
    matched_by_bytes: bool
    timings: Timings
