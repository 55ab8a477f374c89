"""Generate's request and events in the HTTP API; see messages.py."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from web_gateway.messages import (
    Candidate,
    Kept,
    MinP,
    PartitionPoint,
    PromptRequest,
    Sampling,
    Temperature,
    Timings,
    TokenId,
    TopP,
)
from web_gateway.sampler_messages import Samplers


class GeneratedSoFar(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one continuation had generated when its stream broke off."""

    index: Annotated[int, Meta(ge=0, le=15, description="The continuation, below `n`.")]
    token_ids: Annotated[list[TokenId], Meta(description="The ids of its tokens, fewer than max_tokens.")]


class GenerateRequest(PromptRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A prompt to continue, as exactly one of text and token ids, and how."""

    max_tokens: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=1_000_000,
                description="The most tokens of each continuation, which also ends where the context window is full.",
                extra_json_schema={"default": 128},
            ),
        ]
        | UnsetType
    ) = UNSET
    temperature: Temperature | UnsetType = UNSET
    top_p: TopP | UnsetType = UNSET
    min_p: MinP | UnsetType = UNSET
    samplers: Samplers | UnsetType = UNSET
    seed: (
        Annotated[
            int,
            Meta(ge=0, le=2**53 - 1, description="Determines the draws. Default: chosen by the server, see `start`."),
        ]
        | UnsetType
    ) = UNSET
    n: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=16,
                description="Number of continuations, computed as one batch.",
                extra_json_schema={"default": 1},
            ),
        ]
        | UnsetType
    ) = UNSET
    stop: (
        Annotated[
            list[Annotated[str, Meta(min_length=1)]],
            Meta(max_length=16, description="A continuation ends once its text contains one; at most 256 bytes each."),
        ]
        | UnsetType
    ) = UNSET
    stop_token_ids: (
        Annotated[
            list[TokenId],
            Meta(
                max_length=64,
                description="A continuation ends after one of these. Default: the model's end_of_text_ids; empty: "
                "none.",
            ),
        ]
        | UnsetType
    ) = UNSET
    top_k: (
        Annotated[
            int,
            Meta(
                ge=0,
                le=1000,
                description="Number of alternatives per token; at most 100 if `n` is above 1.",
                extra_json_schema={"default": 0},
            ),
        ]
        | UnsetType
    ) = UNSET
    resume: (
        Annotated[
            list[GeneratedSoFar],
            Meta(
                max_length=16,
                description="Continues a stream that broke off: what its unfinished continuations had generated. Give "
                "the token_ids and the seed of its `start`, and everything else as it was.",
            ),
        ]
        | UnsetType
    ) = UNSET
    include_partition: Annotated[bool, Meta(description="Return `partition` with each token.")] = False


class GenerateStart(Struct, frozen=True, kw_only=True):
    """`event: start`, the first one."""

    model: Annotated[str, Meta(description="The model that answers.")]
    token_ids: Annotated[list[TokenId], Meta(description="The prompt's ids, special tokens included.")]
    seed: Annotated[int, Meta(description="The seed of all draws.")]
    context_limit: Annotated[int, Meta(description="The model's context window in tokens.")]


class GeneratedToken(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`event: token`, the next token of a continuation."""

    index: Annotated[int, Meta(description="The continuation.")]
    token: Annotated[
        Candidate, Meta(description="With its probability among all tokens at the temperature, before top_p and min_p.")
    ]
    candidates: Annotated[list[Candidate], Meta(description="The top_k most likely tokens at its position.")]
    entropy_bits: Annotated[float, Meta(description="Entropy of the distribution it was drawn from.")]
    kept: Annotated[Kept, Meta(description="What top_p and min_p keep at its position.")]
    other_probability: Annotated[float, Meta(description="Total probability of the tokens not in `candidates`.")]
    partition: Annotated[
        list[PartitionPoint], Meta(description="If include_partition was set, else empty; as in /api/next-token.")
    ]
    log_sum_exp: Annotated[
        float, Meta(description="log(sum(exp(logits))): a logit minus this is a log-probability at temperature 1.")
    ]
    sampling: Annotated[Sampling | None, Meta(description="Only with sampler steps.")] = None
    partition_at_zero: Annotated[PartitionPoint | None, Meta(description="As `partition`, at b = 0.")] = None


class GenerateFinish(Struct, frozen=True, kw_only=True):
    """`event: finish`, the end of a continuation; the last one ends the stream."""

    index: Annotated[int, Meta(description="The continuation.")]
    finish_reason: Annotated[
        Literal["stop_token", "stop_text", "length", "cancelled", "unknown"],
        Meta(description="`length`: it has max_tokens tokens or fills the context window."),
    ]
    stop_token_id: Annotated[int | None, Meta(description="The id of its last token, if that ended it.")]
    stop_text: Annotated[str | None, Meta(description="The stop text that ended it, if one did.")]
    text: Annotated[str, Meta(description="Its text without special tokens, up to the stop text.")]
    token_count: Annotated[int, Meta(description="Number of its tokens.")]
    timings_ms: Timings
