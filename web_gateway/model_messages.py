"""The models of the server and their states, as they travel over HTTP."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from web_gateway.messages import TokenId

ModelState = Literal["queued", "downloading", "loading", "ready", "failed", "unknown"]


class ModelFacts(Struct, frozen=True, kw_only=True):
    """Properties of a loaded model."""

    parameters: int
    device: str
    dtype: str
    vocab_size: int
    context_limit: int
    architecture: str
    end_of_text_ids: Annotated[list[TokenId], Meta(description="End-of-text tokens, ascending.")]
    prefix_token_ids: Annotated[
        list[TokenId],
        Meta(description="Special tokens that the tokenizer adds in front of every text; don't add them yourself."),
    ]
    layers: Annotated[int, Meta(description="Number of blocks that /api/layers tells of; 0 if it can't.")]
    layers_refusal: Annotated[str, Meta(description="Why /api/layers does not support the model; else empty.")]
    contrast_refusal: Annotated[str, Meta(description="Why it does not support `contrast`; else empty.")]
    attention_refusal: Annotated[str, Meta(description="Why it does not support `include_attention`; else empty.")]
    chat_refusal: Annotated[str, Meta(description="Why /api/chat/render does not support the model; else empty.")]
    format: Annotated[str, Meta(description="How the checkpoint holds its weights, such as FP8; empty: plainly.")]
    note: Annotated[str, Meta(description="What else there is to know of how it was loaded; possibly empty.")]


class Model(Struct, frozen=True, kw_only=True):
    """A configured model and its state."""

    name: str
    state: ModelState
    is_default: Annotated[bool, Meta(description="Whether requests without a model use this one.")]
    bytes_done: Annotated[int, Meta(description="Bytes downloaded so far while downloading, else 0.")]
    bytes_total: Annotated[int, Meta(description="Bytes to download while downloading, 0 while unknown.")]
    reason: Annotated[str, Meta(description="Why it failed and what to do, else empty.")]
    facts: Annotated[ModelFacts | None, Meta(description="Null until it is ready.")]


class ModelList(Struct, frozen=True, kw_only=True):
    """Every configured model, in the configured order."""

    models: list[Model]


class LoadRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Loads a model, or retries one that failed."""

    name: Annotated[str, Meta(min_length=1, description="A name from GET /api/models.")]
