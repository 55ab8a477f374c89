"""Prompts of one model: from text, ids or both to the ids that its network reads."""

import time
from collections.abc import Callable
from collections.abc import Sequence as Tokens
from functools import partial
from typing import Protocol

from inference_server.compare_messages import ComparedQuestion
from inference_server.engine.validation import check_ids, check_length, check_range
from inference_server.errors import InvalidField
from inference_server.messages import TEXT, ModelFacts, TopKQuery
from inference_server.scheduler.scheduler import Scheduler
from inference_server.sequence import Ids, Permit
from inference_server.tokenizer.tokenizer import ModelTokenizer

LONG_TEXT = 2_000  # characters; longer texts are encoded beside the event loop


class Question(Protocol):
    """A query about a prompt; one of these is None."""

    @property
    def text(self) -> str | None: ...

    @property
    def token_ids(self) -> Tokens[int] | None: ...

    @property
    def special(self) -> str: ...


class Prompts:
    """Encodes the prompts of validated queries."""

    def __init__(self, tokenizer: ModelTokenizer, scheduler: Scheduler, facts: ModelFacts) -> None:
        self._tokenizer = tokenizer
        self._scheduler = scheduler
        self._facts = facts

    async def encode(self, query: Question, permit: Permit, deadline: float | None) -> tuple[Ids, float]:
        """A query's prompt as ids, and the seconds spent on its text.

        Raises InvalidField, and what Scheduler.aside raises.
        """
        started = time.monotonic()
        field, length, encode = self._prompt(query)
        ids = tuple(encode() if length <= LONG_TEXT else await self._scheduler.aside(permit, deadline, encode))
        spent_s = time.monotonic() - started
        if not ids:
            if self._tokenizer.bos_id is None:
                raise InvalidField(field, "the prompt is empty and this model has no BOS token")
            ids = (self._tokenizer.bos_id,)
        check_length(field, len(ids), self._facts.context_limit)
        if field != "token_ids" and max(ids) >= self._facts.vocab_size:
            raise InvalidField(field, self._tokenizer.beyond(ids, self._facts.vocab_size))
        check_ids(field, ids, self._facts.vocab_size)
        if isinstance(query, TopKQuery | ComparedQuestion):
            for name in ("answer_start", "constrained_from"):
                start: int | None = getattr(query, name)
                if start is not None:
                    check_range(name, start, 0, len(ids))
        return ids, spent_s

    def _prompt(self, query: Question) -> tuple[str, int, Callable[[], Tokens[int]]]:
        """The field of the prompt, how many characters of text it holds, and how to get its ids."""
        literal = query.special == TEXT
        parts = query.parts if isinstance(query, TopKQuery) else None
        if parts is not None:
            length = sum(len(part) for part in parts if isinstance(part, str))
            return "parts", length, partial(self._tokenizer.encode_parts, parts, literal)
        if query.text is not None:
            return "text", len(query.text), partial(self._tokenizer.encode, query.text, literal)
        return "token_ids", 0, lambda: query.token_ids or ()
