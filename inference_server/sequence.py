"""Prompts on their way through a model, as plain values: what is asked of each, and how far it is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

Ids = tuple[int, ...]
T = TypeVar("T")


@dataclass(eq=False, slots=True)
class Reading:
    """A prompt on its way through the model; done once it has logits."""

    ids: Ids
    logits: Any = None
    cached_tokens: int | None = None
    """How many tokens were not computed for it; None until it is done."""
    looked_ahead: bool = False
    """Whether its logits were there before anybody asked."""
    computed: int = 0


@dataclass(eq=False, slots=True)
class Scoring(Generic[T]):
    """A prompt all of whose tokens tell something.

    `describe` is called with a place and the logits (n, V) after the n tokens from there on, in order.
    """

    ids: Ids
    describe: Callable[[int, Any], Sequence[T]]
    told: list[T] = field(default_factory=list)
    computed: int = 0

    @property
    def done(self) -> bool:
        return len(self.told) == len(self.ids)
