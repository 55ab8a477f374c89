"""Answers of the OpenAI-compatible API."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from web_gateway.messages import TokenId

FinishReason = Literal["stop", "length"]


class Usage(Struct, frozen=True, kw_only=True):
    """Tokens of the prompts and of all completions."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class TextLogprobs(Struct, frozen=True, kw_only=True):
    """One entry per token, at temperature 1. Null: a first token, which nothing precedes."""

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: Annotated[
        list[dict[str, float] | None],
        Meta(description="The most likely tokens, and the token itself. Of tokens with the same text, the likeliest."),
    ]
    text_offset: Annotated[list[int], Meta(description="Characters in front of each token.")]


class PromptLogprob(Struct, frozen=True, kw_only=True):
    """A token at a position of the prompt."""

    logprob: float
    rank: int
    decoded_token: str


class TextChoice(Struct, frozen=True, kw_only=True):
    """A completion, or the next piece of one."""

    index: int
    text: str
    logprobs: TextLogprobs | None
    finish_reason: FinishReason | None
    prompt_logprobs: Annotated[
        list[dict[str, PromptLogprob] | None] | UnsetType, Meta(description="By token id; only if requested.")
    ] = UNSET


class Completion(Struct, frozen=True, kw_only=True):
    """The answer of /v1/completions, or a chunk of it."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[TextChoice]
    usage: Usage | UnsetType | None = UNSET


class TopLogprob(Struct, frozen=True, kw_only=True):
    """A token and its log-probability at temperature 1."""

    token: Annotated[str, Meta(description=r"Its text; bytes that are no UTF-8 on their own are written as \xNN.")]
    logprob: float
    bytes: Annotated[list[int] | None, Meta(description="Its exact bytes; null for a special token.")]


class TokenLogprob(TopLogprob, frozen=True, kw_only=True):
    """A token of a completion, and the most likely ones at its position."""

    top_logprobs: list[TopLogprob]


class ChatLogprobs(Struct, frozen=True, kw_only=True):
    """One entry per token."""

    content: list[TokenLogprob]
    refusal: None = None


class ChatAnswer(Struct, frozen=True, kw_only=True):
    """The assistant's turn, or the rest of it."""

    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None


class ChatChoice(Struct, frozen=True, kw_only=True):
    """One completion."""

    index: int
    message: ChatAnswer
    logprobs: ChatLogprobs | None
    finish_reason: FinishReason


class ChatCompletion(Struct, frozen=True, kw_only=True):
    """The answer of /v1/chat/completions."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage


class Delta(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a chunk adds to a message."""

    role: Literal["assistant"] | UnsetType = UNSET
    content: str | UnsetType = UNSET


class ChunkChoice(Struct, frozen=True, kw_only=True):
    """The next piece of one completion."""

    index: int
    delta: Delta
    logprobs: ChatLogprobs | None
    finish_reason: FinishReason | None


class ChatCompletionChunk(Struct, frozen=True, kw_only=True):
    """A chunk of a streamed answer."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Usage | UnsetType | None = UNSET


class ModelCard(Struct, frozen=True, kw_only=True):
    """A model that can answer."""

    id: str
    object: Literal["model"] = "model"
    created: Annotated[int, Meta(description="0: unknown.")] = 0
    owned_by: Literal["next-token-visualizer"] = "next-token-visualizer"
    max_model_len: Annotated[int, Meta(description="The context window in tokens.")]


class ModelCards(Struct, frozen=True, kw_only=True):
    """The models that are ready, the default first."""

    object: Literal["list"] = "list"
    data: list[ModelCard]


class TokenizedPrompt(Struct, frozen=True, kw_only=True):
    """The ids of a prompt."""

    count: int
    max_model_len: int
    tokens: list[TokenId]
    token_strs: list[str] | None


class DetokenizedPrompt(Struct, frozen=True, kw_only=True):
    """The text of ids."""

    prompt: str


class TokenizerInfo(Struct, frozen=True, kw_only=True):
    """The default model's tokenizer."""

    model: str
    bos_token: str | None
    eos_token: str | None
    pad_token: None = None
    chat_template: str | None
    add_bos_token: Annotated[bool, Meta(description="Whether it puts the first in front of texts.")]
    model_max_length: int
