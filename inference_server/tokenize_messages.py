"""What Tokenize is asked and answers, as plain values."""

from collections.abc import Sequence
from dataclasses import dataclass

from inference_server.messages import TOKEN, Timings, Token


@dataclass(frozen=True, slots=True)
class TokenizeQuery:
    """A text or token ids; exactly one is not None."""

    text: str | None = None
    token_ids: Sequence[int] | None = None
    bare: bool = False
    """Put no special tokens in front of the text."""
    include_tokenizer: bool = False
    special: str = TOKEN


@dataclass(frozen=True, slots=True)
class TokenizerFacts:
    """What a tokenizer says of itself; None: it names no such token."""

    bos: Token | None
    eos: Token | None
    chat_template: str


@dataclass(frozen=True, slots=True)
class TokenizeAnswer:
    """The answer to a TokenizeQuery."""

    tokens: Sequence[Token]
    context_limit: int
    timings: Timings
    tokenizer: TokenizerFacts | None = None
