"""The server's statistics, as plain values.

Fields described with "so far" are totals since the process started; the others hold at one moment.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class QueueStats:
    """Of the scheduler."""

    in_flight: int
    """Requests admitted and not yet answered."""
    limit: int
    """The most that may be in flight."""
    clients: int
    """Clients with a request in flight."""
    waiting: int
    """Requests waiting for the worker thread: the depth of the queue."""
    refused: int
    """Requests refused because the queue or their client's share of it was full, so far."""
    expired: int
    """Requests whose deadline passed or whose caller left before they were computed, so far."""
    failed: int
    """Requests whose forward pass failed, so far."""
    batch_sizes: Mapping[int, int]
    """Batches by size, so far."""


@dataclass(frozen=True, slots=True)
class LogitsCacheStats:
    """Of the logits cache that all models share."""

    hits: int
    """Prompts whose logits were cached, so far."""
    misses: int
    """Prompts that had to be computed, so far."""
    evictions: int
    """Logits evicted, so far."""
    entries: int
    bytes: int
    limit_bytes: int
    stray_bytes: int
    """Bytes counted beyond those of the entries: 0, or the counting is wrong."""


@dataclass(frozen=True, slots=True)
class KVCacheStats:
    """Of one model's KV blocks, or of its own caches, counted as blocks of one byte."""

    hit_tokens: int
    """Tokens found in the cache, so far."""
    evicted_blocks: int
    """Blocks, or whole caches, evicted, so far."""
    used_blocks: int
    blocks: int
    """The most that may be used."""
    block_bytes: int
    open_prompts: int
    """Prompts whose blocks can't be evicted: those of the current step, and prefetched ones."""
    stray_holds: int
    """References to blocks beyond those of cached prefixes and open prompts: 0 between two steps, or blocks leak."""

    @property
    def bytes(self) -> int:
        """Of the blocks in use."""
        return self.used_blocks * self.block_bytes


@dataclass(frozen=True, slots=True)
class ModelStats:
    """Of one loaded model."""

    prompts: int
    """Prompts answered, so far."""
    prefetch_hits: int
    """Of those, the ones whose logits had been prefetched, so far."""
    prefetch_passes: int
    """Prefetch passes, so far."""
    computed_tokens: int
    """Tokens computed for requests, so far."""
    kv_cache: KVCacheStats | None
    """None if the model has no cache."""


@dataclass(frozen=True, slots=True)
class ServerStats:
    """Everything, at one moment; `models` has those that are ready, by name."""

    queue: QueueStats
    logits_cache: LogitsCacheStats
    models: Mapping[str, ModelStats]
    tasks: int
    """Of the event loop."""
