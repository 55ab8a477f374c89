"""What RenderChat is asked and answers, as plain values."""

from collections.abc import Sequence
from dataclasses import dataclass

from inference_server.messages import TOKEN, Timings, Token

ROLES = ("system", "user", "assistant")
MAX_MESSAGES = 1_000


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One turn."""

    role: str = ""
    content: str = ""


@dataclass(frozen=True, slots=True)
class RenderChatQuery:
    """A conversation to write in the model's own template."""

    messages: Sequence[ChatMessage] = ()
    add_generation_prompt: bool = False
    continue_final_message: bool = False
    special: str = TOKEN


@dataclass(frozen=True, slots=True)
class ChatToken:
    """A token of a rendered conversation and what it belongs to."""

    token: Token
    message: int | None
    """Its index; the number of messages: the one that begins there; None: no message."""
    role: str
    """Of that message; empty: none."""
    is_content: bool


@dataclass(frozen=True, slots=True)
class RenderChatAnswer:
    """The answer to a RenderChatQuery."""

    text: str
    tokens: Sequence[ChatToken]
    context_limit: int
    timings: Timings

    @property
    def token_ids(self) -> list[int]:
        return [each.token.token_id for each in self.tokens]
