"""Requests and answers of the HTTP API.

The ranges here validate requests, word the error messages and generate the OpenAPI document.
"""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from web_gateway.sampler_messages import MAX_INT32 as MAX_INT32
from web_gateway.sampler_messages import AnswerStart, ConstrainedFrom, Sampled, SamplerResult, Samplers
from web_gateway.sampler_messages import TokenId as TokenId

ONE_PROMPT = "exactly one of text and token_ids must be given"
ONE_OF_THREE = "exactly one of text, token_ids and parts must be given"

Text = Annotated[str, Meta(description="The prompt. Empty: the beginning of a text.")]
TokenIds = Annotated[list[TokenId], Meta(description="The prompt as token ids, used as they are.")]
Parts = Annotated[
    list[str | list[TokenId]],
    Meta(
        min_length=1,
        max_length=100,
        description="The prompt as text and token ids in turn, for an edited text: ids are used as they are, and "
        "nothing is put in front of text that doesn't begin the prompt.",
    ),
]
ModelName = Annotated[str, Meta(description="A name from GET /api/models. Default: the server's default model.")]
TopK = Annotated[
    int,
    Meta(
        ge=1,
        le=1000,
        description="Number of candidates; at most the vocabulary size.",
        extra_json_schema={"default": 10},
    ),
]
Alternatives = Annotated[
    int, Meta(ge=0, le=100, description="Number of alternatives per token.", extra_json_schema={"default": 0})
]
Temperature = Annotated[
    float,
    Meta(ge=0, le=100, description="Divides the logits before softmax; 0 is greedy.", extra_json_schema={"default": 1}),
]
TopP = Annotated[
    float,
    Meta(
        gt=0,
        le=1,
        description="Keep the smallest set of most likely tokens with at least this total probability.",
        extra_json_schema={"default": 1},
    ),
]
MinP = Annotated[
    float,
    Meta(
        ge=0,
        le=1,
        description="Keep tokens at least this fraction as likely as the most likely one.",
        extra_json_schema={"default": 0},
    ),
]
Watched = Annotated[list[TokenId], Meta(max_length=32, description="Token ids to report whatever their rank.")]
Draws = Annotated[
    list[Annotated[float, Meta(ge=0, lt=1)]],
    Meta(max_length=1000, description="Random numbers; each samples one token from the kept distribution."),
]

Special = Annotated[
    Literal["token", "text"],
    Meta(
        description="What the names of special tokens in a text are: those tokens, or plain characters.",
        extra_json_schema={"default": "token"},
    ),
]


class PromptRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What requests about a prompt share."""

    text: Text | UnsetType = UNSET
    token_ids: TokenIds | UnsetType = UNSET
    model: ModelName | UnsetType = UNSET
    special: Special | UnsetType = UNSET

    def __post_init__(self) -> None:
        if (self.text is UNSET) == (self.token_ids is UNSET):
            raise ValueError(ONE_PROMPT)


class NextTokenRequest(PromptRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A prompt, as exactly one of text, token ids and parts, and what to return about the next token."""

    top_k: TopK | UnsetType = UNSET
    temperature: Temperature | UnsetType = UNSET
    watch_token_ids: Watched | UnsetType = UNSET
    top_p: TopP | UnsetType = UNSET
    min_p: MinP | UnsetType = UNSET
    draws: Draws | UnsetType = UNSET
    include_prompt_tokens: Annotated[bool, Meta(description="Return the prompt's tokens.")] = False
    include_partition: Annotated[bool, Meta(description="Return `partition`.")] = False
    samplers: Samplers | UnsetType = UNSET
    answer_start: AnswerStart | UnsetType = UNSET
    constrained_from: ConstrainedFrom | UnsetType = UNSET
    parts: Parts | UnsetType = UNSET

    def __post_init__(self) -> None:
        if sum(prompt is not UNSET for prompt in (self.text, self.token_ids, self.parts)) != 1:
            raise ValueError(ONE_OF_THREE)


class ScoreRequest(PromptRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A text to score, as exactly one of text and token ids."""

    top_k: Alternatives | UnsetType = UNSET


class Token(Struct, frozen=True, kw_only=True):
    """One token of the vocabulary."""

    token_id: TokenId
    text: Annotated[str | None, Meta(description="`bytes` as text; null if they are not valid UTF-8 on their own.")]
    bytes: Annotated[
        bytes,
        Meta(
            description="The exact bytes the token adds to the text; for a special token, its name. Empty with "
            "is_special: the id is not a token."
        ),
    ]
    is_special: Annotated[bool, Meta(description="A control token such as BOS, which is not part of the text.")]


class Candidate(Token, frozen=True, kw_only=True, omit_defaults=True):
    """A token with its rank and probability; `sampled` only if there are sampler steps."""

    rank: Annotated[int, Meta(ge=1, description="1 for the highest logit; equal logits rank by ascending id.")]
    logit: Annotated[float | None, Meta(description="The model's output before temperature.")]
    probability: Annotated[float, Meta(description="Softmax of logits / temperature over the whole vocabulary.")]
    logprob: Annotated[float | None, Meta(description="Natural log of the probability; null if that is 0.")]
    sampled: Annotated[Sampled | None, Meta(description="Its place after the sampler steps.")] = None


class Kept(Struct, frozen=True, kw_only=True):
    """The tokens that top_p and min_p, or the sampler steps, keep, and their total probability before all of them."""

    count: int
    probability: float


class Sampling(Struct, frozen=True, kw_only=True):
    """What sampler steps did."""

    steps: Annotated[list[SamplerResult], Meta(description="One per step, in that order.")]
    likeliest: Annotated[list[Candidate], Meta(description="The top_k most likely tokens after all steps.")]
    entropy_bits: Annotated[float, Meta(description="Entropy of the distribution after all steps.")]


class PartitionPoint(Struct, frozen=True, kw_only=True):
    """Statistics at one inverse temperature b. Clients interpolate them to compute probabilities at any temperature."""

    inverse_temperature: Annotated[float, Meta(description="b = 1 / temperature.")]
    log_sum_exp: Annotated[float, Meta(description="log(sum(exp(logits * b))).")]
    mean_logit: Annotated[float, Meta(description="Mean of the logit under softmax(logits * b).")]
    variance: Annotated[float, Meta(description="Variance of the logit under softmax(logits * b).")]


class Timings(Struct, frozen=True, kw_only=True):
    """Time spent in the inference server, in milliseconds."""

    queue: float
    tokenize: float
    model: float
    total: float


class Prompt(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The prompt as tokenized; `tokens` only if requested."""

    token_count: int
    cached_tokens: Annotated[int, Meta(description="Prompt tokens served from the KV cache.")]
    context_limit: Annotated[int, Meta(description="The model's context window in tokens.")]
    tokens: list[Token] | UnsetType = UNSET


class NextTokenAnswer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The most likely next tokens, and statistics of the whole distribution."""

    model: Annotated[str, Meta(description="The model that answered.")]
    prompt: Prompt
    candidates: Annotated[list[Candidate], Meta(description="The top_k most likely tokens, in order of rank.")]
    watched: Annotated[list[Candidate], Meta(description="One per id in watch_token_ids, in that order.")]
    drawn: Annotated[list[Candidate], Meta(description="One per number in draws, in that order.")]
    kept: Kept
    partition: Annotated[list[PartitionPoint], Meta(description="33 points if include_partition is set, else empty.")]
    other_probability: Annotated[float, Meta(description="Total probability of all tokens outside `candidates`.")]
    entropy_bits: Annotated[float, Meta(description="Entropy of the whole distribution.")]
    vocab_size: int
    lookahead_hit: Annotated[bool, Meta(description="Whether the answer had been prefetched.")]
    timings_ms: Timings
    sampling: Annotated[Sampling | None, Meta(description="Only with sampler steps.")] = None
    partition_at_zero: Annotated[
        PartitionPoint | None, Meta(description="As `partition`, at b = 0: log_sum_exp is ln of the tokens' number.")
    ] = None


class ScoredToken(Token, frozen=True, kw_only=True):
    """A token of a scored text. Its numbers are null if `unconditioned`."""

    rank: int | None
    logit: float | None
    probability: float | None
    logprob: float | None
    entropy_bits: Annotated[float | None, Meta(description="Entropy of the distribution at this position.")]
    unconditioned: Annotated[
        bool,
        Meta(
            description="No token precedes it, so it has no probability: a first token, unless the tokenizer adds "
            "BOS in front."
        ),
    ]
    alternatives: Annotated[list[Candidate], Meta(description="The top_k most likely tokens at this position.")]


class ScoreAnswer(Struct, frozen=True, kw_only=True):
    """The probability of each token of a text, given the tokens before it."""

    model: str
    tokens: list[ScoredToken]
    total_logprob: Annotated[float | None, Meta(description="Sum over the conditioned tokens; null if infinite.")]
    perplexity: Annotated[float | None, Meta(description="Null if infinite.")]
    bits_per_byte: Annotated[float | None, Meta(description="Null if infinite.")]
    context_limit: int
    timings_ms: Timings


class Status(Struct, frozen=True, kw_only=True):
    """The result of a successful probe."""

    status: Literal["ok", "started", "ready"]


class Problem(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Every error response."""

    error: Annotated[str, Meta(description="What is wrong and what to do, for people.")]
    code: Annotated[str, Meta(description="The error code, for programs.")]
    field: Annotated[str, Meta(description="The invalid request field, if one is.")] | UnsetType = UNSET
