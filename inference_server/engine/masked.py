"""Masks as part of a question: read beside the event loop and the model, and the ids that they are to hold for."""

from collections.abc import Awaitable, Callable
from collections.abc import Sequence as Tokens
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, TypeVar

from inference_server.compare_messages import ComparedQuestion
from inference_server.errors import InvalidField
from inference_server.generate_messages import GenerateQuery
from inference_server.messages import ModelFacts, TopKQuery
from inference_server.sampler_messages import Sampler, TextMask
from inference_server.scheduler.scheduler import Scheduler
from inference_server.sequence import Ids, Permit
from inference_server.tokenizer.tokenizer import ModelTokenizer

if TYPE_CHECKING:
    from inference_server.masks.masks import MaskedText, Masks

Q = TypeVar("Q", TopKQuery, ComparedQuestion)


@dataclass(frozen=True, slots=True)
class Masked:
    """The continuations of one call, each held to a mask from its first token on."""

    texts: "Tokens[MaskedText]"
    beside: Callable[[Callable[[], None]], Awaitable[None]]
    """Runs what takes milliseconds neither on the event loop nor on the model's thread."""


class Masking:
    """Of one model."""

    def __init__(self, tokenizer: ModelTokenizer, scheduler: Scheduler, facts: ModelFacts) -> None:
        self._facts = facts
        self._tokenizer = tokenizer
        self._scheduler = scheduler

    @cached_property
    def _masks(self) -> "Masks":
        """Made and its library imported by the first mask, on the helper thread."""
        from inference_server.masks.masks import Masks

        return Masks(self._tokenizer, self._facts.vocab_size, self._facts.end_of_text_ids)

    async def known(self, query: Q, ids: Ids, permit: Permit, deadline: float | None) -> Q:
        """The query, its mask with the tokens that it allows after a prompt.

        Raises InvalidField, and what Scheduler.apart raises.
        """
        mask = mask_of(query.samplers)
        if mask is None:
            return query
        allowed = await self._scheduler.apart(permit, deadline, self._allowed, mask, ids, query.constrained_from)
        return replace(query, samplers=with_allowed(query.samplers, allowed))

    def _allowed(self, mask: TextMask, ids: Ids, start: int | None) -> object:
        start = len(ids) if start is None else start
        text = self._masks.begin(mask, ids[:start])
        wrong = text.add(ids[start:])
        if wrong is not None:
            at = start + wrong
            name = repr(self._tokenizer.token(ids[at], ids[:at]).bytes.decode(errors="replace")[:80])
            raise InvalidField(
                "constrained_from",
                f"must be from 0 to {len(ids):,}, and the ids from there on what the mask allows; the token at index "
                f"{at:,}, {name}, is not",
            )
        return text.allowed()

    async def begun(self, query: GenerateQuery, prompt: Ids, permit: Permit, deadline: float | None) -> "Masked | None":
        """What a query's continuations are held to; None without a mask. Raises as known."""
        mask = mask_of(query.samplers)
        if mask is None:
            return None
        count = len(query.resume) or query.n
        texts = await self._scheduler.apart(permit, deadline, self._begin, mask, prompt, count)
        return Masked(texts, partial(self._scheduler.aside, permit, deadline))

    def _begin(self, mask: TextMask, prompt: Ids, count: int) -> "list[MaskedText]":
        return [self._masks.begin(mask, prompt) for _ in range(count)]


def mask_of(samplers: Tokens[Sampler]) -> TextMask | None:
    """The mask among the steps, if there is one."""
    return next((step for step in samplers if isinstance(step, TextMask)), None)


def with_allowed(samplers: Tokens[Sampler], allowed: object) -> Tokens[Sampler]:
    """The steps, with what the mask allows."""
    return [replace(step, allowed=allowed) if isinstance(step, TextMask) else step for step in samplers]
