"""Layers' request and answer in the HTTP API."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from web_gateway.messages import Candidate, Prompt, PromptRequest, Temperature, Timings, TokenId, Watched

LayerTopK = Annotated[
    int,
    Meta(
        ge=1,
        le=100,
        description="Number of candidates per layer; at most the vocabulary size.",
        extra_json_schema={"default": 10},
    ),
]
Position = Annotated[
    int,
    Meta(
        ge=0,
        le=2**31 - 1,
        description="Index of the prompt's token after which the next one is predicted. Default: the last.",
    ),
]
Contrast = Annotated[
    list[TokenId],
    Meta(
        min_length=2,
        max_length=2,
        description="Two different token ids: return what each part of the model adds to the difference between the "
        "first one's logit and the second one's.",
    ),
]


class LayersRequest(PromptRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A prompt, as exactly one of text and token ids, and what to tell of the layers at one of its positions."""

    position: Position | UnsetType = UNSET
    top_k: LayerTopK | UnsetType = UNSET
    temperature: Temperature | UnsetType = UNSET
    watch_token_ids: Watched | UnsetType = UNSET
    contrast: Contrast | UnsetType = UNSET
    include_attention: Annotated[bool, Meta(description="Return the position's attention weights.")] = False
    include_prompt_tokens: Annotated[bool, Meta(description="Return the prompt's tokens.")] = False


class Layer(Struct, frozen=True, kw_only=True):
    """What the model would say if its last block were this one."""

    layer: Annotated[
        int, Meta(ge=0, description="0 for the embedding, then the blocks; the last is the model's answer.")
    ]
    candidates: Annotated[list[Candidate], Meta(description="The top_k most likely tokens there, in order of rank.")]
    watched: Annotated[list[Candidate], Meta(description="One per id in watch_token_ids, in that order.")]
    entropy_bits: Annotated[float, Meta(description="Entropy of the layer's whole distribution.")]
    kl_to_final_bits: Annotated[
        float | None,
        Meta(description="Kullback-Leibler divergence from the last layer's distribution; null if infinite."),
    ]


class Commitment(Struct, frozen=True, kw_only=True):
    """When the model settled on its most likely token: layers from which on something holds up to the last one."""

    top1_layer: Annotated[int, Meta(description="It has rank 1.")]
    top3_layer: Annotated[int, Meta(description="It has rank 3 or better.")]
    half_layer: Annotated[int | None, Meta(description="It has a probability above one half; null: never.")]


ModelPart = Literal["embedding", "attention", "mlp", "bias", "unknown"]


class Contribution(Struct, frozen=True, kw_only=True):
    """What a part of the model adds to the difference between two tokens' logits."""

    layer: Annotated[int, Meta(description="The block, from 1 on; 0 for the embedding, the last one for the bias.")]
    part: ModelPart
    logit_difference: Annotated[float, Meta(description="Its share, with the final norm's scale frozen.")]


class LayersAnswer(Struct, frozen=True, kw_only=True):
    """How a prediction forms from layer to layer."""

    model: Annotated[str, Meta(description="The model that answered.")]
    prompt: Prompt
    position: int
    layers: Annotated[list[Layer], Meta(description="The embedding and every block, in order.")]
    commitment: Commitment
    contributions: Annotated[
        list[Contribution], Meta(description="If contrast is set: of every part; they sum to logit_difference.")
    ]
    logit_difference: Annotated[
        float | None, Meta(description="The first token's logit minus the second's; null without contrast.")
    ]
    before_soft_cap: Annotated[
        bool, Meta(description="Whether logit_difference is that before the soft cap of this model's logits.")
    ]
    attention: Annotated[
        list[list[list[float]]],
        Meta(description="If include_attention is set: weights by block, head and prompt token up to the position."),
    ]
    timings_ms: Timings
