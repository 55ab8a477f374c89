"""Requests and answers as plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from inference_server.sampler_messages import Sampled, Sampler, SamplerResult

MAX_TOP_K = 1000
MAX_TEMPERATURE = 100.0
MAX_WATCHED = 32
MAX_DRAWS = 1000
MAX_ALTERNATIVES = 100

TOKEN, TEXT = "token", "text"  # what the name of a special token in a text is: that token, or plain characters
MAX_PARTS = 100


class Client(NamedTuple):
    """Who asks: an address, and the session it names; empty: none."""

    address: str = ""
    session: str = ""


NOBODY = Client()


@dataclass(frozen=True, slots=True)
class TopKQuery:
    """A prompt and what to tell about its next token. Exactly one of text, token_ids and parts is not None.

    parts: text and token ids in turn.
    """

    text: str | None = None
    token_ids: Sequence[int] | None = None
    parts: Sequence[str | Sequence[int]] | None = None
    top_k: int = 10
    temperature: float = 1.0
    watch_token_ids: Sequence[int] = ()
    top_p: float = 1.0
    min_p: float = 0.0
    draws: Sequence[float] = ()
    include_prompt_tokens: bool = False
    include_partition: bool = False
    samplers: Sequence[Sampler] = ()
    answer_start: int | None = None
    constrained_from: int | None = None
    special: str = TOKEN


@dataclass(frozen=True, slots=True)
class Token:
    """A token: its id, the exact bytes it adds to the text, and whether it is a special token."""

    token_id: int
    bytes: bytes
    is_special: bool
    text: str | None = field(init=False)
    """`bytes` as text; None unless they are valid UTF-8 on their own."""

    def __post_init__(self) -> None:
        try:
            text = self.bytes.decode()
        except UnicodeDecodeError:
            text = None
        object.__setattr__(self, "text", text)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A token and its place in a distribution."""

    token: Token
    rank: int
    logit: float
    probability: float
    logprob: float
    sampled: Sampled | None = None


@dataclass(frozen=True, slots=True)
class Sampling:
    """What sampler steps did, and the likeliest tokens after all of them."""

    steps: Sequence[SamplerResult]
    likeliest: Sequence[Candidate]
    entropy_bits: float


@dataclass(frozen=True, slots=True)
class PartitionPoint:
    """The whole distribution at one inverse temperature."""

    inverse_temperature: float
    log_sum_exp: float
    mean_logit: float
    variance: float


@dataclass(frozen=True, slots=True)
class Timings:
    """Milliseconds on the monotonic clock."""

    queue_ms: float
    tokenize_ms: float
    model_ms: float
    total_ms: float


@dataclass(frozen=True, slots=True)
class TopKAnswer:
    """The answer to a TopKQuery; field meanings are those of the contract."""

    token_count: int
    cached_tokens: int
    context_limit: int
    candidates: Sequence[Candidate]
    watched: Sequence[Candidate]
    drawn: Sequence[Candidate]
    kept_count: int
    kept_probability: float
    other_probability: float
    entropy_bits: float
    vocab_size: int
    lookahead_hit: bool
    timings: Timings
    prompt_tokens: Sequence[Token] = ()
    partition: Sequence[PartitionPoint] = ()
    sampling: Sampling | None = None
    partition_at_zero: PartitionPoint | None = None


@dataclass(frozen=True, slots=True)
class ScoreQuery:
    """A text, as text or as token ids (exactly one is not None), and how many alternatives to list for each token."""

    text: str | None = None
    token_ids: Sequence[int] | None = None
    top_k: int = 0
    special: str = TOKEN


@dataclass(frozen=True, slots=True)
class ScoredToken:
    """A token of a scored text; if it is unconditioned, only the token of its `candidate` is set."""

    candidate: Candidate
    entropy_bits: float
    alternatives: Sequence[Candidate] = ()
    unconditioned: bool = False


@dataclass(frozen=True, slots=True)
class ScoreAnswer:
    """The answer to a ScoreQuery; field meanings are those of the contract."""

    tokens: Sequence[ScoredToken]
    total_logprob: float
    perplexity: float
    bits_per_byte: float
    context_limit: int
    timings: Timings


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Facts about a loaded model."""

    parameters: int
    device: str
    dtype: str
    vocab_size: int
    context_limit: int
    architecture: str
    end_of_text_ids: Sequence[int] = ()
    prefix_token_ids: Sequence[int] = ()
    chat_refusal: str = ""
    layers: int = 0
    layers_refusal: str = ""
    contrast_refusal: str = ""
    attention_refusal: str = ""
    format: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of requests and of work in flight; see the contract's message of this name."""

    max_text_bytes: int
    max_prompt_tokens: int
    max_request_bytes: int
    max_response_bytes: int
    queue_limit: int
    max_top_k: int = MAX_TOP_K
    max_score_top_k: int = MAX_ALTERNATIVES
    max_watch_token_ids: int = MAX_WATCHED
    max_draws: int = MAX_DRAWS


@dataclass(frozen=True, slots=True)
class Info:
    """About a server: versions by name, limits, the default model's name, seconds since it started."""

    versions: Mapping[str, str]
    limits: Limits
    default_model: str
    uptime_s: float
