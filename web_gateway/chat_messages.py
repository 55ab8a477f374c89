"""RenderChat's request and answer in the HTTP API; see messages.py."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from web_gateway.messages import ModelName, Special, Timings, Token, TokenId


class ChatMessage(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One turn of a conversation."""

    role: Annotated[Literal["system", "user", "assistant"], Meta(description="Who speaks.")]
    content: Annotated[str, Meta(description="The words.")]


class RenderChatRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A conversation to write in the model's own chat template."""

    messages: Annotated[list[ChatMessage], Meta(min_length=1, max_length=1000, description="The turns in order.")]
    model: ModelName | UnsetType = UNSET
    add_generation_prompt: Annotated[
        bool, Meta(description="Also write what begins the assistant's next turn, so that the model answers.")
    ] = False
    continue_final_message: Annotated[
        bool, Meta(description="Leave the last turn open. Not with add_generation_prompt.")
    ] = False
    special: Special | UnsetType = UNSET


class ChatToken(Token, frozen=True, kw_only=True):
    """A token of the rendered conversation."""

    message: Annotated[
        int | None,
        Meta(
            description="The index of its message; the number of messages for what begins the next one; null if it "
            "belongs to none."
        ),
    ]
    role: Annotated[str, Meta(description="The role of that message; empty if there is none.")]
    is_content: Annotated[bool, Meta(description="Whether it is in the message's content, not the template's.")]


class RenderChatAnswer(Struct, frozen=True, kw_only=True):
    """The conversation as the model reads it."""

    model: str
    token_ids: Annotated[list[TokenId], Meta(description="Send these as the prompt.")]
    tokens: Annotated[list[ChatToken], Meta(description="The same tokens, each with the message it belongs to.")]
    text: Annotated[str, Meta(description="The text that the template wrote.")]
    context_limit: Annotated[int, Meta(description="The model's context window; a longer conversation is refused.")]
    timings_ms: Timings
