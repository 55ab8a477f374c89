"""What the server counts of itself, as plain values for whoever reports them. Knows nobody.

Fields whose words say "so far" only ever grow, from the start of the process; the others hold at one moment.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class QueueStats:
    """The scheduler: who is in flight, what waits, and what was computed together."""

    in_flight: int
    """Requests admitted and not yet answered, those computed now and those still read included."""
    limit: int
    """The most that may be in flight."""
    clients: int
    """Clients that have a request in flight."""
    waiting: int
    """Requests that wait for the worker thread: the depth of the queue."""
    refused: int
    """Requests refused because the queue or their client's share was full, so far."""
    expired: int
    """Requests whose deadline passed or whose caller left before they were computed, so far."""
    failed: int
    """Requests that ended in a fault of the forward pass, so far."""
    batch_sizes: Mapping[int, int]
    """How many batches of each size were computed, so far."""


@dataclass(frozen=True, slots=True)
class LogitsCacheStats:
    """The distributions kept, of all models together."""

    hits: int
    """Prompts asked for whose distribution was there, so far."""
    misses: int
    """Prompts asked for that had to be computed, so far."""
    evictions: int
    """Distributions given up for newer ones, so far."""
    entries: int
    bytes: int
    limit_bytes: int
    stray_bytes: int
    """What is counted beyond the entries there are: 0, or there is a fault in the counting."""


@dataclass(frozen=True, slots=True)
class KVCacheStats:
    """One model's stored keys and values; or its own caches, whose size is counted in pages of a byte."""

    hit_tokens: int
    """Tokens found stored and so not computed again, so far."""
    evicted_pages: int
    """Pages, or whole caches, given up for newer ones, so far."""
    used_pages: int
    pages: int
    """The most that may be used."""
    page_bytes: int
    open_prompts: int
    """Prompts whose pages can't be given up: those of a step under way, and those looked ahead of."""
    stray_holds: int
    """Holds on pages beyond those of the stored prefixes and the open prompts: 0 between two steps, or pages leak."""

    @property
    def bytes(self) -> int:
        """Of the pages that hold something."""
        return self.used_pages * self.page_bytes


@dataclass(frozen=True, slots=True)
class ModelStats:
    """One loaded model."""

    prompts: int
    """Prompts answered, so far."""
    lookahead_hits: int
    """Of those, the ones whose distribution was computed before anybody asked, so far."""
    lookahead_passes: int
    """Passes made ahead of anybody asking, so far."""
    computed_tokens: int
    """Tokens that went through the model for a request, so far."""
    store: KVCacheStats | None
    """None where nothing of a prompt can be kept but its distribution."""


@dataclass(frozen=True, slots=True)
class ServerStats:
    """All of it at one moment; `models` holds those that are ready, by name."""

    queue: QueueStats
    kept: LogitsCacheStats
    models: Mapping[str, ModelStats]
    tasks: int
    """Tasks of the event loop."""
