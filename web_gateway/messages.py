"""The gateway's questions and answers as plain values, in the shape of its JSON. Knows nobody.

Ranges are those of the gRPC contract. They stand here once: they are enforced on the way in, they word the refusals,
and the OpenAPI file is made from them.
"""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

MAX_INT32 = 2**31 - 1  # what the wire holds; a model's vocabulary ends long before

ONE_PROMPT = "give either text or token_ids, and not both"

Text = Annotated[str, Meta(description="What the next token follows. Empty stands for the beginning of a text.")]
TokenId = Annotated[int, Meta(ge=0, le=MAX_INT32)]
TokenIds = Annotated[list[TokenId], Meta(description="The same as ids of the model's vocabulary, used as they are.")]
ModelName = Annotated[str, Meta(description="A name from GET /api/models. Default: the server's default model.")]
TopK = Annotated[
    int,
    Meta(
        ge=1,
        le=1000,
        description="How many candidates to return; at most the vocabulary's size.",
        extra_json_schema={"default": 10},
    ),
]
Alternatives = Annotated[
    int, Meta(ge=0, le=100, description="Alternatives at each token.", extra_json_schema={"default": 0})
]
Temperature = Annotated[
    float,
    Meta(
        ge=0,
        le=100,
        description="Divides the logits before the softmax; 0 is the greedy limit.",
        extra_json_schema={"default": 1},
    ),
]
TopP = Annotated[
    float,
    Meta(
        gt=0,
        le=1,
        description="Keep the fewest most likely tokens that sum to this probability.",
        extra_json_schema={"default": 1},
    ),
]
MinP = Annotated[
    float,
    Meta(
        ge=0,
        le=1,
        description="Keep the tokens at least this many times as likely as the most likely one.",
        extra_json_schema={"default": 0},
    ),
]
Watched = Annotated[list[TokenId], Meta(max_length=32, description="Ids to report wherever they rank.")]
Draws = Annotated[
    list[Annotated[float, Meta(ge=0, lt=1)]],
    Meta(max_length=1000, description="Points of the kept distribution; each is answered with its token."),
]


class NextTokenRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A prompt, as text or as token ids (exactly one), and what to say about the tokens that may follow it."""

    text: Text | UnsetType = UNSET
    token_ids: TokenIds | UnsetType = UNSET
    model: ModelName | UnsetType = UNSET
    top_k: TopK | UnsetType = UNSET
    temperature: Temperature | UnsetType = UNSET
    watch_token_ids: Watched | UnsetType = UNSET
    top_p: TopP | UnsetType = UNSET
    min_p: MinP | UnsetType = UNSET
    draws: Draws | UnsetType = UNSET
    include_prompt_tokens: Annotated[bool, Meta(description="Return the prompt's tokens.")] = False
    include_partition: Annotated[bool, Meta(description="Return `partition`.")] = False

    def __post_init__(self) -> None:
        if (self.text is UNSET) == (self.token_ids is UNSET):
            raise ValueError(ONE_PROMPT)


class ScoreRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A text, as text or as token ids (exactly one), and how many alternatives to give at each of its tokens."""

    text: Text | UnsetType = UNSET
    token_ids: TokenIds | UnsetType = UNSET
    model: ModelName | UnsetType = UNSET
    top_k: Alternatives | UnsetType = UNSET

    def __post_init__(self) -> None:
        if (self.text is UNSET) == (self.token_ids is UNSET):
            raise ValueError(ONE_PROMPT)


class LoadRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for a model to be loaded, or loaded again where that failed."""

    name: Annotated[str, Meta(min_length=1, description="A name from GET /api/models.")]


class Token(Struct, frozen=True, kw_only=True):
    """One token of the vocabulary."""

    token_id: TokenId
    text: Annotated[str | None, Meta(description="`bytes` as text; null where they are not UTF-8 by themselves.")]
    bytes: Annotated[
        bytes,
        Meta(
            description="What the token adds to the text, exactly; for a special token its name. Empty beside "
            "is_special: the id is no token."
        ),
    ]
    is_special: Annotated[bool, Meta(description="Whether it is a mark, such as the beginning, and not text.")]


class Candidate(Token, frozen=True, kw_only=True):
    """A token and its place in a distribution."""

    rank: Annotated[int, Meta(ge=1, description="1 for the highest logit; equal logits rank by ascending id.")]
    logit: Annotated[float | None, Meta(description="The model's output before temperature.")]
    probability: Annotated[float, Meta(description="Softmax of logits / temperature over the whole vocabulary.")]
    logprob: Annotated[float | None, Meta(description="Natural logarithm of it; null where the probability is 0.")]


class Kept(Struct, frozen=True, kw_only=True):
    """What top_p and min_p leave of the distribution: how many tokens, and their summed uncut probability."""

    count: int
    probability: float


class PartitionPoint(Struct, frozen=True, kw_only=True):
    """The whole distribution at one inverse temperature b, from which a client computes it at any temperature."""

    inverse_temperature: Annotated[float, Meta(description="b = 1 / temperature.")]
    log_sum_exp: Annotated[float, Meta(description="Log of the sum of exp(logit * b) over the vocabulary.")]
    mean_logit: Annotated[float, Meta(description="Mean of the logit under softmax(logits * b).")]
    variance: Annotated[float, Meta(description="Variance of the logit under softmax(logits * b).")]


class Timings(Struct, frozen=True, kw_only=True):
    """Where the time went in the inference server, in milliseconds."""

    queue: float
    tokenize: float
    model: float
    total: float


class Prompt(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The prompt as the model read it; `tokens` only where they were asked for."""

    token_count: int
    cached_tokens: Annotated[int, Meta(description="How many of them were not computed again.")]
    context_limit: Annotated[int, Meta(description="The most tokens this model reads.")]
    tokens: list[Token] | UnsetType = UNSET


class NextTokenAnswer(Struct, frozen=True, kw_only=True):
    """The most likely next tokens of a prompt and the shape of the whole distribution."""

    model: Annotated[str, Meta(description="The model that answered.")]
    prompt: Prompt
    candidates: Annotated[list[Candidate], Meta(description="The top_k most likely tokens, in order of rank.")]
    watched: Annotated[list[Candidate], Meta(description="One for each of watch_token_ids, in its order.")]
    drawn: Annotated[list[Candidate], Meta(description="One for each of draws, in its order.")]
    kept: Kept
    partition: Annotated[
        list[PartitionPoint], Meta(description="33 points where include_partition was set, else none.")
    ]
    other_probability: Annotated[float, Meta(description="Probability of all tokens not among the candidates.")]
    entropy_bits: Annotated[float, Meta(description="Entropy of the whole distribution.")]
    vocab_size: int
    lookahead_hit: Annotated[bool, Meta(description="Whether the answer was computed before it was asked for.")]
    timings_ms: Timings


class ScoredToken(Token, frozen=True, kw_only=True):
    """A token of a scored text. Its numbers are null where nothing stands before it: the model says nothing of it."""

    rank: int | None
    logit: float | None
    probability: float | None
    logprob: float | None
    entropy_bits: Annotated[float | None, Meta(description="Entropy of the distribution it was chosen from.")]
    unconditioned: Annotated[
        bool,
        Meta(
            description="Nothing stands before it: true for a first token, unless it follows a beginning-of-sequence "
            "token that the model's tokenizer puts in front of texts."
        ),
    ]
    alternatives: Annotated[list[Candidate], Meta(description="The most likely tokens there, as many as top_k.")]


class ScoreAnswer(Struct, frozen=True, kw_only=True):
    """How likely the model found each token of a text, given what stands before it."""

    model: str
    tokens: list[ScoredToken]
    total_logprob: Annotated[
        float | None, Meta(description="Sum over the conditioned tokens; null: one is impossible.")
    ]
    perplexity: Annotated[float | None, Meta(description="Null where it is infinite.")]
    bits_per_byte: Annotated[float | None, Meta(description="Null where it is infinite.")]
    context_limit: int
    timings_ms: Timings


ModelState = Literal["queued", "downloading", "loading", "ready", "failed", "unknown"]


class ModelFacts(Struct, frozen=True, kw_only=True):
    """What is known of a loaded model."""

    parameters: int
    device: str
    dtype: str
    vocab_size: int
    context_limit: int
    architecture: str
    end_of_text_ids: Annotated[list[TokenId], Meta(description="The tokens that end a text, in ascending order.")]
    prefix_token_ids: Annotated[
        list[TokenId],
        Meta(description="The special tokens that the tokenizer puts in front of every text; do not write them too."),
    ]


class Model(Struct, frozen=True, kw_only=True):
    """A model the server may use, and where it is on its way to answering."""

    name: str
    state: ModelState
    is_default: Annotated[bool, Meta(description="Whether requests without a model mean this one.")]
    bytes_done: Annotated[int, Meta(description="Bytes fetched so far while downloading, else 0.")]
    bytes_total: Annotated[int, Meta(description="Bytes to fetch while downloading, 0 while unknown.")]
    reason: Annotated[str, Meta(description="Why it failed and what to do; else empty.")]
    facts: Annotated[ModelFacts | None, Meta(description="Null until it is ready.")]


class ModelList(Struct, frozen=True, kw_only=True):
    """Every model the server may use, in the operator's order."""

    models: list[Model]


class Status(Struct, frozen=True, kw_only=True):
    """That all is well."""

    status: Literal["ok", "started", "ready"]


class Problem(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The one shape of every failure."""

    error: Annotated[str, Meta(description="What is wrong and what to do, in words.")]
    code: Annotated[str, Meta(description="The same for programs.")]
    field: Annotated[str, Meta(description="The field of the request at fault, where one is.")] | UnsetType = UNSET
