"""The server's own statistics as plain values; an annotated field is exported as that metric.

Counters only grow from the start of the process; gauges describe one moment.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, NamedTuple


class Gauge(NamedTuple):
    """A metric's name and help text."""

    name: str
    meaning: str


class Counter(NamedTuple):
    """A metric's name and help text."""

    name: str
    meaning: str


@dataclass(frozen=True, slots=True)
class QueueStats:
    """The scheduler's."""

    in_flight: Annotated[int, Gauge("requests_in_flight", "Requests admitted and not yet answered.")]
    limit: Annotated[int, Gauge("queue_limit", "Maximum requests in flight; more are rejected.")]
    clients: Annotated[int, Gauge("clients", "Clients with requests in flight.")]
    waiting: Annotated[int, Gauge("queue_depth", "Requests waiting for the model thread.")]
    refused: Annotated[
        int, Counter("refused", "Requests rejected because the queue or the client's share of it was full.")
    ]
    expired: Annotated[int, Counter("expired", "Requests dropped uncomputed: the deadline passed or the caller left.")]
    failed: Annotated[int, Counter("failed", "Requests whose forward pass failed.")]
    batch_sizes: Mapping[int, int]
    """Batches computed, by size."""


@dataclass(frozen=True, slots=True)
class LogitsCacheStats:
    """The cached distributions of all models."""

    hits: Annotated[int, Counter("distribution_cache_hits", "Prompts whose distribution was cached.")]
    misses: Annotated[int, Counter("distribution_cache_misses", "Prompts whose distribution had to be computed.")]
    evictions: Annotated[int, Counter("distribution_cache_evictions", "Distributions evicted.")]
    entries: Annotated[int, Gauge("distribution_cache_entries", "Cached distributions.")]
    bytes: Annotated[int, Gauge("distribution_cache_bytes", "Memory used by cached distributions.")]
    limit_bytes: Annotated[int, Gauge("distribution_cache_limit_bytes", "Maximum memory for cached distributions.")]
    stray_bytes: Annotated[
        int, Gauge("distribution_cache_stray_bytes", "Accounting check: bytes without an entry. Always 0.")
    ]


@dataclass(frozen=True, slots=True)
class KVCacheStats:
    """One model's cached keys and values; whole caches of models that manage their own count in blocks of one byte."""

    hit_tokens: Annotated[int, Counter("kv_cache_hit_tokens", "Prompt tokens found in the cache.")]
    evicted_blocks: Annotated[
        int, Counter("kv_cache_evicted_pages", "Blocks evicted, or whole caches a model manages itself.")
    ]
    used_blocks: int
    blocks: int
    """Maximum."""
    block_bytes: int
    open_prompts: Annotated[
        int,
        Gauge(
            "kv_cache_open_prompts",
            "Prompts whose blocks can't be evicted: in the current step or prefetched (at most 16).",
        ),
    ]
    stray_holds: Annotated[
        int,
        Gauge(
            "kv_cache_stray_holds",
            "Accounting check: block references without an owner. 0 whenever nothing is computed.",
        ),
    ]

    @property
    def bytes(self) -> int:
        return self.used_blocks * self.block_bytes

    @property
    def limit_bytes(self) -> int:
        return self.blocks * self.block_bytes


@dataclass(frozen=True, slots=True)
class ModelStats:
    """One loaded model's."""

    prompts: Annotated[int, Counter("prompts", "Prompts answered.")]
    prefetch_hits: Annotated[int, Counter("lookahead_hits", "Prompts answered from a prefetched distribution.")]
    prefetch_passes: Annotated[int, Counter("lookahead_passes", "Prefetch passes.")]
    computed_tokens: Annotated[int, Counter("computed_tokens", "Tokens computed for requests.")]
    kv_cache: KVCacheStats | None
    """None for models whose keys and values can't be cached."""


@dataclass(frozen=True, slots=True)
class ServerStats:
    """All of it; `models` holds the ready ones by name."""

    queue: QueueStats
    logits_cache: LogitsCacheStats
    models: Mapping[str, ModelStats]
    tasks: Annotated[int, Gauge("tasks", "Event-loop tasks: calls, watches and background work.")]
