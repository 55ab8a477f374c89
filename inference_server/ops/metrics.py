"""What Prometheus reads of the inference server. Knows numbers and names, and neither gRPC nor torch."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from inference_server.messages import Timings
from inference_server.models.registry import ModelState, Registry
from inference_server.ops.readiness import Readiness
from inference_server.stats import LogitsCacheStats, ModelStats, QueueStats, ServerStats

PREFIX = "nexttoken_inference_"
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
NO_MODEL = "none"  # of calls that name none, or one that is not listed


class Metrics:
    """The numbers of one server, in a registry of its own. Its labels take few values, whatever is asked."""

    MEDIA_TYPE = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(self, current: "Current") -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._registry.register(current)
        self._calls = Counter(
            PREFIX + "calls",
            "Calls that ended, by RPC, model and gRPC status code.",
            ["rpc", "model", "code"],
            registry=self._registry,
        )
        self._phases = Histogram(
            PREFIX + "phase_seconds",
            "Of answered calls: seconds spent on each phase (tokenize, queue, model) and in all (total).",
            ["rpc", "model", "phase"],
            buckets=SECONDS,
            registry=self._registry,
        )
        self._tokens = Counter(
            PREFIX + "tokens",
            "Prompt tokens of answered calls.",
            ["rpc", "model"],
            registry=self._registry,
        )
        self._unwelcome = Counter(
            PREFIX + "unauthenticated",
            "Calls refused because they showed no good token.",
            registry=self._registry,
        )
        self._turned_away = Counter(
            PREFIX + "turned_away",
            "Calls refused because too many were open, before their message was read.",
            registry=self._registry,
        )

    def turned_away(self) -> None:
        """Counts a call that came while too many were open."""
        self._turned_away.inc()

    def unwelcome(self) -> None:
        """Counts a call that showed no good token."""
        self._unwelcome.inc()

    def ended(self, rpc: str, model: str, code: str) -> None:
        """Counts a call; `model` is a listed one's name, or empty."""
        self._calls.labels(rpc, model or NO_MODEL, code).inc()

    def answered(self, rpc: str, model: str, tokens: int, timings: Timings) -> None:
        """Counts an answer by its prompt's tokens, and where its time went."""
        self._tokens.labels(rpc, model).inc(tokens)
        phases = {
            "tokenize": timings.tokenize_ms,
            "queue": timings.queue_ms,
            "model": timings.model_ms,
            "total": timings.total_ms,
        }
        for phase, milliseconds in phases.items():
            self._phases.labels(rpc, model, phase).observe(milliseconds / 1000)

    def text(self) -> bytes:
        """Everything, in Prometheus' text format; from any thread."""
        return generate_latest(self._registry)


class Current:
    """What the server counts of itself, read when Prometheus asks."""

    def __init__(self, registry: Registry, readiness: Readiness, stats: Callable[[], ServerStats]) -> None:
        self._models = registry
        self._readiness = readiness
        self._stats = stats

    def collect(self) -> Iterator[Metric]:
        """Each number now."""
        now = self._stats()
        yield _gauge("ready", "1 where requests can be answered, else 0.", not self._readiness.not_ready())
        yield _gauge(
            "still_seconds", "How long the model thread has had work and made no step.", self._readiness.still_s
        )
        yield _gauge("tasks", "Tasks of the event loop: calls, watches, and what runs beside them.", now.tasks)
        yield self._states()
        yield from _queue(now.queue)
        yield from _kept(now.logits_cache)
        yield from _models(now.models)

    def _states(self) -> Metric:
        states = _gauge(
            "model_state", "1 for the state that a model is in, 0 for the others.", labels=("model", "state")
        )
        for model in self._models.models():
            for state in ModelState:
                states.add_metric([model.name, state.name.lower()], model.state is state)
        return states


def _queue(queue: QueueStats) -> Iterator[Metric]:
    yield _gauge("requests_in_flight", "Requests admitted and not yet answered.", queue.in_flight)
    yield _gauge("queue_limit", "Requests in flight before new ones are refused.", queue.limit)
    yield _gauge("queue_depth", "Requests that wait for the model thread.", queue.waiting)
    yield _gauge("clients", "Clients that have a request in flight.", queue.clients)
    yield _counter("refused", "Requests refused: the queue or their client's share of it was full.", queue.refused)
    yield _counter("expired", "Requests too late, or left by their caller, before they were computed.", queue.expired)
    yield _counter("failed", "Requests that ended in a fault of the forward pass.", queue.failed)
    yield _batches(queue.batch_sizes)


def _batches(sizes: Mapping[int, int]) -> Metric:
    counted = [(str(most), sum(count for size, count in sizes.items() if size <= most)) for most in BATCHES]
    buckets = [*counted, ("+Inf", sum(sizes.values()))]
    total = sum(size * count for size, count in sizes.items())
    meaning = "Requests computed together in one batch."
    return HistogramMetricFamily(f"{PREFIX}batch_size", meaning, buckets, total)


def _kept(kept: LogitsCacheStats) -> Iterator[Metric]:
    yield _gauge("distribution_cache_bytes", "Memory of the distributions kept.", kept.bytes)
    yield _gauge("distribution_cache_limit_bytes", "The most it may be.", kept.limit_bytes)
    yield _gauge("distribution_cache_entries", "Distributions kept.", kept.entries)
    yield _gauge(
        "distribution_cache_stray_bytes", "Bytes counted that no kept distribution has: 0, always.", kept.stray_bytes
    )
    yield _counter("distribution_cache_hits", "Prompts whose distribution was kept.", kept.hits)
    yield _counter("distribution_cache_misses", "Prompts that had to be computed.", kept.misses)
    yield _counter("distribution_cache_evictions", "Distributions given up for newer ones.", kept.evictions)


def _models(models: Mapping[str, ModelStats]) -> Iterator[Metric]:
    stores = {name: of.kv_cache for name, of in models.items() if of.kv_cache is not None}
    yield _counter("prompts", "Prompts answered.", {name: of.prompts for name, of in models.items()})
    yield _counter(
        "lookahead_hits",
        "Prompts answered from what was computed before anybody asked.",
        {name: of.prefetch_hits for name, of in models.items()},
    )
    yield _counter(
        "lookahead_passes",
        "Passes ahead of anybody asking.",
        {name: of.prefetch_passes for name, of in models.items()},
    )
    yield _counter(
        "computed_tokens",
        "Tokens that went through the model for a request.",
        {name: of.computed_tokens for name, of in models.items()},
    )
    yield _gauge("kv_cache_bytes", "Memory of stored keys and values.", {n: s.bytes for n, s in stores.items()})
    yield _gauge(
        "kv_cache_limit_bytes", "The most it may be.", {n: s.blocks * s.block_bytes for n, s in stores.items()}
    )
    yield _gauge(
        "kv_cache_open_prompts",
        "Prompts whose pages can't be given up: those computed now, and those looked ahead of (16 at most).",
        {n: s.open_prompts for n, s in stores.items()},
    )
    yield _gauge(
        "kv_cache_stray_holds",
        "Holds on pages that neither a stored prefix nor an open prompt has: 0 whenever nothing is computed.",
        {n: s.stray_holds for n, s in stores.items()},
    )
    yield _counter(
        "kv_cache_hit_tokens", "Tokens found stored, not computed again.", {n: s.hit_tokens for n, s in stores.items()}
    )
    yield _counter(
        "kv_cache_evicted_pages",
        "Pages, or a model's own caches, given up for newer ones.",
        {n: s.evicted_blocks for n, s in stores.items()},
    )


def _gauge(
    name: str, meaning: str, value: float | Mapping[str, float] | None = None, labels: tuple[str, ...] = ("model",)
) -> GaugeMetricFamily:
    if isinstance(value, int | float):
        return GaugeMetricFamily(PREFIX + name, meaning, value)
    family = GaugeMetricFamily(PREFIX + name, meaning, labels=labels)
    for model, of_model in (value or {}).items():
        family.add_metric([model], of_model)
    return family


def _counter(name: str, meaning: str, value: float | Mapping[str, float]) -> CounterMetricFamily:
    if isinstance(value, int | float):
        return CounterMetricFamily(PREFIX + name, meaning, value)
    family = CounterMetricFamily(PREFIX + name, meaning, labels=("model",))
    for model, of_model in value.items():
        family.add_metric([model], of_model)
    return family
