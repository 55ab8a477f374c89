"""Conversations in a model's chat template: checked, rendered beside the event loop, and told token by token."""

import time
from collections.abc import Sequence

from inference_server.chat_messages import (
    MAX_MESSAGES,
    ROLES,
    ChatToken,
    RenderChatAnswer,
    RenderChatQuery,
)
from inference_server.engine.validation import check_length
from inference_server.errors import InvalidField
from inference_server.messages import NOBODY, TEXT, Client, ModelFacts, Timings
from inference_server.scheduler.scheduler import Scheduler
from inference_server.tokenizer.chat import Chat
from inference_server.tokenizer.chat_renderer import ChatRenderer
from inference_server.tokenizer.chat_spans import Message
from inference_server.tokenizer.tokenizer import ModelTokenizer

ASSISTANT = "assistant"


class Chats:
    """Answers RenderChat for one model."""

    def __init__(self, tokenizer: ModelTokenizer, scheduler: Scheduler, facts: ModelFacts, max_text_bytes: int) -> None:
        self._tokenizer = tokenizer
        self._scheduler = scheduler
        self._facts = facts
        self._max_text_bytes = max_text_bytes
        self._chat = Chat(ChatRenderer(tokenizer.template), tokenizer)

    async def render(self, query: RenderChatQuery, deadline: float | None, client: Client = NOBODY) -> RenderChatAnswer:
        """Raises InvalidField, Overloaded, DeadlineExpired or Stopping."""
        arrived = time.monotonic()
        check_chat(query, self._max_text_bytes)
        messages = [Message(each.role, each.content) for each in query.messages]
        with self._scheduler.admit(client) as permit:
            started = time.monotonic()
            text, tokens = await self._scheduler.apart(permit, deadline, self._told, query, messages)
            spent_s = time.monotonic() - started
        total_s = time.monotonic() - arrived
        return RenderChatAnswer(
            text, tokens, self._facts.context_limit, Timings(0.0, spent_s * 1000, 0.0, total_s * 1000)
        )

    def _told(self, query: RenderChatQuery, messages: Sequence[Message]) -> tuple[str, list[ChatToken]]:
        """The text, and each token with what it belongs to; what begins the next message is the assistant's."""
        rendered = self._chat.render(
            messages, query.add_generation_prompt, query.continue_final_message, query.special == TEXT
        )
        check_length("messages", len(rendered.token_ids), self._facts.context_limit)
        if rendered.token_ids and max(rendered.token_ids) >= self._facts.vocab_size:
            raise InvalidField("messages", self._tokenizer.beyond(rendered.token_ids, self._facts.vocab_size))
        roles = [*(message.role for message in messages), ASSISTANT]
        return rendered.text, [
            ChatToken(token, span.message, "" if span.message is None else roles[span.message], span.is_content)
            for token, span in zip(self._tokenizer.spell(rendered.token_ids), rendered.spans, strict=True)
        ]


def check_chat(query: RenderChatQuery, max_text_bytes: int) -> None:
    """All of a RenderChatQuery that can be checked without the template. Raises InvalidField."""
    if not 1 <= len(query.messages) <= MAX_MESSAGES:
        raise InvalidField("messages", f"must be 1 to {MAX_MESSAGES:,} messages, got {len(query.messages):,}")
    size = 0
    for at, message in enumerate(query.messages):
        if message.role not in ROLES:
            raise InvalidField(
                "messages", f"role must be one of {', '.join(ROLES)}, got {message.role[:60]!r} at index {at}"
            )
        try:
            size += len(message.content.encode())
        except UnicodeEncodeError as error:
            raise InvalidField("messages", f"contains an unpaired surrogate at index {at}") from error
    if size > max_text_bytes:
        raise InvalidField("messages", f"must be at most {max_text_bytes:,} bytes of UTF-8 in all, got {size:,}")
    if query.add_generation_prompt and query.continue_final_message:
        raise InvalidField(
            "continue_final_message", "can't be combined with add_generation_prompt: the last message stays open"
        )
