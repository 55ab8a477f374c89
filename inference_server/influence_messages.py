"""Requests and answers about influence as plain values; field meanings are those of the contract."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from inference_server.messages import TOKEN, Candidate, Timings

UNITS = ("token", "word", "sentence")
METHODS = ("hide", "take_out", "gradient")


@dataclass(frozen=True, slots=True)
class InfluenceQuery:
    """A prompt (exactly one of text and token_ids is not None), a token, and how to measure what pushes it.

    `budget`: tokens to compute for edited prompts; None: as many as the server allows.
    """

    text: str | None = None
    token_ids: Sequence[int] | None = None
    target: int | None = None
    contrast: int | None = None
    unit: str = "word"
    method: str = "hide"
    replace_with: int | None = None
    budget: int | None = None
    special: str = TOKEN


@dataclass(frozen=True, slots=True)
class InfluenceUnit:
    """A part of a prompt: its first token, and the one after its last."""

    start: int
    end: int
    kind: str
    text: str
    is_special: bool
    has_first_token: bool

    def holds(self, other: "InfluenceUnit") -> bool:
        """Whether another part is within this one."""
        return self.start <= other.start and other.end <= self.end


@dataclass(frozen=True, slots=True)
class InfluenceStart:
    """What is measured."""

    token_count: int
    units: Sequence[InfluenceUnit]
    log_odds: float
    target: Candidate
    contrast: Candidate | None
    planned_tokens: int = 0


@dataclass(frozen=True, slots=True)
class InfluenceChange:
    """One part's, by one method."""

    unit: int
    method: str
    log_odds_change: float


@dataclass(frozen=True, slots=True)
class InfluenceEnd:
    """What was measured in all."""

    measured: int
    complete: bool
    rank_correlation: float | None
    methods_disagree: bool
    computed_tokens: int
    timings: Timings


InfluenceEvent = InfluenceStart | InfluenceChange | InfluenceEnd
InfluenceEvents = AsyncGenerator[InfluenceEvent, None]
