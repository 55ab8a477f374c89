"""Sampler steps and what they did, in the HTTP API; see messages.py."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

MAX_INT32 = 2**31 - 1  # token ids are int32 in the gRPC API

TokenId = Annotated[int, Meta(ge=0, le=MAX_INT32)]
Share = Annotated[float, Meta(gt=0, le=1)]
Chance = Annotated[float, Meta(ge=0, le=1)]


class Xtc(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Removes all tokens that are at least as likely as a threshold, but for the least likely of them, at random."""

    probability: Annotated[Chance, Meta(description="How often the step acts: if `coin` is below.")]
    threshold: (
        Annotated[Chance, Meta(description="Above 0.5 the step does nothing.", extra_json_schema={"default": 0.1})]
        | UnsetType
    ) = UNSET
    coin: (
        Annotated[
            float,
            Meta(
                ge=0,
                lt=1,
                description="Default: 0; in /api/generate it can't be given, the seed decides.",
            ),
        ]
        | UnsetType
    ) = UNSET


class TokenBias(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is added to one token's score."""

    token_id: TokenId
    bias: Annotated[float, Meta(ge=-100, le=100)]


class Penalty(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A penalty for tokens that the text already has; all ids count, those of the prompt included."""

    penalty: Annotated[
        float,
        Meta(
            ge=-100,
            le=100,
            description="repetition_penalty: above 0 and at most 100, 1 changes nothing; the others: from -2 to 2, 0 "
            "changes nothing.",
        ),
    ]
    last: (
        Annotated[int, Meta(ge=1, le=MAX_INT32, description="Only so many of the last ids count. Default: all.")]
        | UnsetType
    ) = UNSET
    ignore_prompt: Annotated[
        bool, Meta(description="Only ids of the answer count: the generated ones, or those from answer_start on.")
    ] = False


Form = Annotated[str, Meta(min_length=1)]  # the server counts bytes


class Mask(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A form that the text has from some token on, as exactly one field; at most 65,536 bytes of UTF-8."""

    choices: (
        Annotated[list[Form], Meta(min_length=1, max_length=1000, description="One of these texts.")] | UnsetType
    ) = UNSET
    regex: (
        Annotated[Form, Meta(description="A text that this regular expression matches, in the syntax of Rust's regex.")]
        | UnsetType
    ) = UNSET
    json_schema: Annotated[dict[str, Any], Meta(description="JSON that this JSON Schema allows.")] | UnsetType = UNSET
    grammar: (
        Annotated[
            Form,
            Meta(
                description="A text of this grammar, in llguidance's variant of Lark, with the first rule start, or in "
                "GBNF, with the first rule root."
            ),
        ]
        | UnsetType
    ) = UNSET

    def __post_init__(self) -> None:
        if sum(getattr(self, name) is not UNSET for name in self.__struct_fields__) != 1:
            raise ValueError(f"exactly one of {', '.join(self.__struct_fields__)} must be given")


class Sampler(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One step of sampling, as exactly one field. It takes the tokens and scores that the step before it left."""

    temperature: (
        Annotated[float, Meta(ge=0, le=100, description="Divides the scores; 0 keeps the highest.")] | UnsetType
    ) = UNSET
    top_k: (
        Annotated[int, Meta(ge=1, le=MAX_INT32, description="Keeps the k highest scores, and all equal to the last.")]
        | UnsetType
    ) = UNSET
    top_p: (
        Annotated[Share, Meta(description="Keeps the fewest most likely tokens with at least this probability.")]
        | UnsetType
    ) = UNSET
    min_p: (
        Annotated[Chance, Meta(description="Keeps tokens at least this fraction as likely as the most likely one.")]
        | UnsetType
    ) = UNSET
    typical_p: (
        Annotated[
            Share,
            Meta(description="Keeps the tokens whose surprise is nearest the entropy, with at least this probability."),
        ]
        | UnsetType
    ) = UNSET
    top_n_sigma: (
        Annotated[
            float,
            Meta(gt=0, le=100, description="Keeps scores at most so many standard deviations below the highest."),
        ]
        | UnsetType
    ) = UNSET
    epsilon: Annotated[Share, Meta(description="Keeps tokens of at least this probability.")] | UnsetType = UNSET
    eta: (
        Annotated[Share, Meta(description="Keeps tokens of at least min(eta, sqrt(eta) * exp(-entropy in nats)).")]
        | UnsetType
    ) = UNSET
    top_h: (
        Annotated[
            Share,
            Meta(description="Of the 100 most likely tokens, keeps those within this share of their entropy."),
        ]
        | UnsetType
    ) = UNSET
    xtc: Annotated[Xtc, Meta(description="Removes the most likely choices, at random.")] | UnsetType = UNSET
    logit_bias: (
        Annotated[list[TokenBias], Meta(min_length=1, max_length=1000, description="Adds to the scores of tokens.")]
        | UnsetType
    ) = UNSET
    ban: (
        Annotated[list[TokenId], Meta(min_length=1, max_length=1000, description="Removes these tokens.")] | UnsetType
    ) = UNSET
    repetition_penalty: (
        Annotated[Penalty, Meta(description="Divides positive scores of ids that count, multiplies negative ones.")]
        | UnsetType
    ) = UNSET
    frequency_penalty: (
        Annotated[Penalty, Meta(description="Subtracted from a score as often as the id occurs.")] | UnsetType
    ) = UNSET
    presence_penalty: (
        Annotated[Penalty, Meta(description="Subtracted from the scores of ids that occur.")] | UnsetType
    ) = UNSET
    mask: (
        Annotated[Mask, Meta(description="Keeps only tokens with which a text of some form can go on.")] | UnsetType
    ) = UNSET

    def __post_init__(self) -> None:
        if sum(getattr(self, name) is not UNSET for name in self.__struct_fields__) != 1:
            raise ValueError(f"exactly one of {', '.join(self.__struct_fields__)} must be given")


Samplers = Annotated[
    list[Sampler],
    Meta(
        max_length=16,
        description="Sampler steps in the order in which they apply, each kind at most once; instead of temperature, "
        "top_p and min_p, which can't be given with them.",
    ),
]
AnswerStart = Annotated[
    int,
    Meta(
        ge=0,
        le=MAX_INT32,
        description="How many of the prompt's ids come before the answer, for penalties with ignore_prompt. Default: "
        "all.",
    ),
]

ConstrainedFrom = Annotated[
    int,
    Meta(
        ge=0,
        le=MAX_INT32,
        description="From which of the prompt's ids on the step mask holds; they must be what it allows. Default: "
        "their number, so that the next token is the first one.",
    ),
]


class SamplerResult(Struct, frozen=True, kw_only=True):
    """What one sampler step left."""

    count: Annotated[int, Meta(ge=1, description="Number of tokens left.")]
    probability: Annotated[float, Meta(description="Their share of the probability that entered the step.")]


class Sampled(Struct, frozen=True, kw_only=True):
    """A token after all sampler steps."""

    probability: Annotated[float, Meta(description="0 if it was removed.")]
    logprob: Annotated[float | None, Meta(description="Natural log of the probability; null if that is 0.")]
    fell_at: Annotated[int | None, Meta(description="The step that removed it, counted from 0; null if none did.")]
