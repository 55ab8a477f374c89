"""Compare's request and answer in the HTTP API; see messages.py."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from web_gateway.messages import (
    Kept,
    MinP,
    Prompt,
    PromptRequest,
    Temperature,
    Timings,
    Token,
    TopP,
)
from web_gateway.sampler_messages import AnswerStart, ConstrainedFrom, SamplerResult, Samplers


class ComparedQuestion(PromptRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A prompt, as exactly one of text and token ids, and how tokens are sampled after it."""

    temperature: Temperature | UnsetType = UNSET
    top_p: TopP | UnsetType = UNSET
    min_p: MinP | UnsetType = UNSET
    samplers: Samplers | UnsetType = UNSET
    answer_start: AnswerStart | UnsetType = UNSET
    constrained_from: ConstrainedFrom | UnsetType = UNSET


class CompareRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Two questions whose next-token distributions are compared as tokens are sampled from them."""

    a: Annotated[ComparedQuestion, Meta(description="The first question, such as the one before a change.")]
    b: Annotated[ComparedQuestion, Meta(description="The second one.")]
    top_k: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=100,
                description="Number of tokens of each kind; at most either vocabulary size.",
                extra_json_schema={"default": 10},
            ),
        ]
        | UnsetType
    ) = UNSET
    include_prompt_tokens: Annotated[bool, Meta(description="Return both prompts' tokens.")] = False


class ComparedPlace(Struct, frozen=True, kw_only=True):
    """A token's place in one of two compared distributions."""

    token_id: Annotated[int, Meta(ge=0, description="Its id in this side's vocabulary.")]
    rank: Annotated[int, Meta(ge=1, description="1 for the most likely, before top_p and min_p.")]
    probability: Annotated[float, Meta(description="0 for tokens that top_p or min_p does not keep.")]
    logprob: Annotated[float | None, Meta(description="Natural log of the probability; null if that is 0.")]


class ComparedToken(Token, frozen=True, kw_only=True):
    """A token, as it would follow the prompt of `a`, and its places; null where that side's model does not have it."""

    a: ComparedPlace | None
    b: ComparedPlace | None


class ComparedSide(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One of two compared distributions."""

    model: Annotated[str, Meta(description="The model that answered.")]
    prompt: Prompt
    kept: Kept
    entropy_bits: Annotated[float, Meta(description="Entropy of the compared distribution.")]
    vocab_size: int
    steps: Annotated[list[SamplerResult], Meta(description="One per sampler step; absent without any.")] = []


class Unmatched(Struct, frozen=True, kw_only=True):
    """Probability on each side of tokens that the other side's model does not have."""

    a: float
    b: float


class CompareAnswer(Struct, frozen=True, kw_only=True):
    """How two distributions differ over all tokens that both models have, each renormalized to these."""

    a: ComparedSide
    b: ComparedSide
    kl_a_b_bits: Annotated[
        float | None,
        Meta(description="Kullback-Leibler divergence of `b` from `a`; null if infinite: only `a` gives some token."),
    ]
    kl_b_a_bits: Annotated[float | None, Meta(description="The same with the sides exchanged.")]
    js_bits: Annotated[float, Meta(ge=0, le=1, description="Jensen-Shannon divergence.")]
    total_variation: Annotated[float, Meta(ge=0, le=1, description="Half the sum of all differences of probability.")]
    candidates: Annotated[
        list[ComparedToken], Meta(description="The top_k tokens of either side, by their higher probability.")
    ]
    gained: Annotated[list[ComparedToken], Meta(description="The tokens of both that are likelier in `b`, most first.")]
    lost: Annotated[list[ComparedToken], Meta(description="The tokens of both that are likelier in `a`, most first.")]
    overlap: Annotated[
        list[int], Meta(description="For n from 1 to top_k: how many tokens are among the n highest of both sides.")
    ]
    unmatched: Unmatched
    matched_by_bytes: Annotated[
        bool, Meta(description="The tokenizers differ: tokens are the same if they add the same bytes; else by id.")
    ]
    timings_ms: Timings
