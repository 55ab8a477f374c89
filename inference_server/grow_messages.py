"""What Grow is asked and answers, as plain values."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from inference_server.messages import TOKEN, Candidate, Timings

MAX_DEPTH = 100
MAX_NODES = 2000
MAX_WIDTH = 32


@dataclass(frozen=True, slots=True)
class GrowQuery:
    """A prompt, as text or as token ids (exactly one is not None), and how far to grow its likeliest continuations."""

    text: str | None = None
    token_ids: Sequence[int] | None = None
    depth: int = 3
    coverage: float = 1.0
    max_nodes: int = 100
    width: int | None = None
    """None: best first; else beams."""
    special: str = TOKEN


@dataclass(frozen=True, slots=True)
class GrowStart:
    """The first event of a growth."""

    token_ids: Sequence[int]
    context_limit: int


@dataclass(frozen=True, slots=True)
class GrownNode:
    """A token and its path from the prompt."""

    id: int
    parent: int
    token: Candidate
    path_logprob: float
    depth: int
    is_end: bool


@dataclass(frozen=True, slots=True)
class GrownMass:
    """How the probability of all continuations is divided, now."""

    covered: float
    open: float
    pruned: float


class GrowFinishReason(Enum):
    """Why a growth ended; names as in the contract."""

    COVERAGE = "coverage"
    MAX_NODES = "max_nodes"
    COMPLETE = "complete"


@dataclass(frozen=True, slots=True)
class GrowFinish:
    """The last event of a growth."""

    finish_reason: GrowFinishReason
    node_count: int
    mass: GrownMass
    timings: Timings


GrowEvent = GrowStart | GrownNode | GrownMass | GrowFinish
