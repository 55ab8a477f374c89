"""Influence's request and events in the HTTP API; see messages.py."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from web_gateway.messages import MAX_INT32, Candidate, PromptRequest, Timings, TokenId

UnitKind = Literal["token", "word", "sentence"]
Method = Literal["hide", "take_out", "gradient"]


class InfluenceRequest(PromptRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which parts of a prompt, given as exactly one of text and token ids, push a token."""

    target: Annotated[TokenId, Meta(description="The id of the token whose log-odds are measured.")]
    contrast: (
        Annotated[
            TokenId, Meta(description="Another token's id, for log-odds against it alone. Default: against all others.")
        ]
        | UnsetType
    ) = UNSET
    unit: (
        Annotated[
            UnitKind,
            Meta(
                description="The parts; at most NEXTTOKEN_INFLUENCE_UNITS of them.",
                extra_json_schema={"default": "word"},
            ),
        ]
        | UnsetType
    ) = UNSET
    method: (
        Annotated[
            Method,
            Meta(
                description="hide: the last position does not look at the part. take_out: the part is deleted or "
                "replaced, and what follows computed anew. gradient: gradient times input.",
                extra_json_schema={"default": "hide"},
            ),
        ]
        | UnsetType
    ) = UNSET
    replace_with: (
        Annotated[
            TokenId,
            Meta(description="Only for take_out: replaces each token of a part. Default: parts are deleted."),
        ]
        | UnsetType
    ) = UNSET
    budget: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=MAX_INT32,
                description="Only for take_out: tokens of edited prompts to compute, at most "
                "NEXTTOKEN_INFLUENCE_TOKENS, which is the default.",
            ),
        ]
        | UnsetType
    ) = UNSET


class InfluenceUnit(Struct, frozen=True, kw_only=True):
    """A part of the prompt."""

    start: Annotated[int, Meta(description="The place of its first token in the prompt, from 0.")]
    end: Annotated[int, Meta(description="The place after its last token's.")]
    kind: Annotated[Literal["token", "word", "sentence", "unknown"], Meta(description="What it is.")]
    text: Annotated[str, Meta(description="Its text; invalid UTF-8 becomes U+FFFD.")]
    is_special: Annotated[bool, Meta(description="Whether it is a special token.")]
    has_first_token: Annotated[
        bool, Meta(description="Whether it holds the first token, on which attention rests whatever it is.")
    ]


class InfluenceStart(Struct, frozen=True, kw_only=True):
    """`event: start`, the first one."""

    model: Annotated[str, Meta(description="The model that answers.")]
    token_count: Annotated[int, Meta(description="Tokens of the prompt, special tokens included.")]
    units: Annotated[
        list[InfluenceUnit], Meta(description="The parts in order; with take_out, then the sentences around them.")
    ]
    log_odds: Annotated[float, Meta(description="Of the target after the whole prompt, in nats.")]
    target: Candidate
    contrast: Candidate | None
    planned_tokens: Annotated[
        int, Meta(description="Tokens of edited prompts that take_out will compute; 0 for the other methods.")
    ]


class InfluenceChange(Struct, frozen=True, kw_only=True):
    """`event: change`, what one part does."""

    unit: Annotated[int, Meta(description="The part's index in `units`.")]
    method: Annotated[Literal["hide", "take_out", "gradient", "unknown"], Meta(description="How it was measured.")]
    log_odds_change: Annotated[
        float | None,
        Meta(description="Log-odds without the part minus those with it: below 0, the part speaks for the target."),
    ]


class InfluenceEnd(Struct, frozen=True, kw_only=True):
    """`event: done`, the last one."""

    measured: Annotated[int, Meta(description="How many of the parts have a change by the method asked for.")]
    complete: Annotated[bool, Meta(description="Whether the budget was enough.")]
    rank_correlation: Annotated[
        float | None, Meta(description="Spearman's, of the changes' sizes by take_out and by hide; null for too few.")
    ]
    methods_disagree: Annotated[bool, Meta(description="Whether it is below 0.5: trust neither method alone.")]
    computed_tokens: int
    timings_ms: Timings
