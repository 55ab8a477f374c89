"""Tokenize's request and answer in the HTTP API; see messages.py."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from web_gateway.messages import PromptRequest, Timings, Token


class TokenizeRequest(PromptRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A text to divide into tokens, or token ids to spell: exactly one of text and token ids."""

    bare: Annotated[bool, Meta(description="Put no special tokens in front of the text.")] = False
    include_tokenizer: Annotated[bool, Meta(description="Return `tokenizer`.")] = False


class TokenizerFacts(Struct, frozen=True, kw_only=True):
    """What a tokenizer says of itself."""

    bos: Annotated[Token | None, Meta(description="The beginning-of-sequence token; null if it names none.")]
    eos: Annotated[Token | None, Meta(description="The end-of-sequence token; null if it names none.")]
    chat_template: Annotated[str, Meta(description="The source of the chat template; empty if there is none.")]


class TokenizeAnswer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The tokens of a text or of ids; `tokenizer` only if requested."""

    model: str
    tokens: list[Token]
    context_limit: Annotated[int, Meta(description="The model's context window in tokens.")]
    timings_ms: Timings
    tokenizer: TokenizerFacts | UnsetType = UNSET
