"""The inference server's Prometheus metrics: its calls, and its statistics as their fields' metadata describe them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, get_type_hints

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from inference_server import stats
from inference_server.messages import Timings
from inference_server.models.model_status import ModelState
from inference_server.models.registry import Registry
from inference_server.ops.readiness import Readiness
from inference_server.stats import KVCacheStats, LogitsCacheStats, ModelStats, QueueStats, ServerStats

PREFIX = "nexttoken_inference_"
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
SECONDS_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
FAMILIES = {stats.Counter: CounterMetricFamily, stats.Gauge: GaugeMetricFamily}
NO_MODEL = "none"  # label of calls that name no model, or an unlisted one

Rows = Sequence[tuple[Sequence[str], Any]]
"""Label values, and the statistics they belong to."""


class Metrics:
    """One server's metrics. Label values are bounded, whatever callers send."""

    MEDIA_TYPE = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(self, collector: "StatsCollector") -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._registry.register(collector)
        self._calls = self._counter(
            "calls", "Finished calls by RPC, model and gRPC status code.", ("rpc", "model", "code")
        )
        self._tokens = self._counter("tokens", "Prompt tokens of answered calls.", ("rpc", "model"))
        self._events = self._counter("stream_messages", "Messages sent by streaming calls.", ("rpc", "model"))
        self._waits = Histogram(
            PREFIX + "stream_wait_seconds",
            "Seconds that a streaming call waited for its next message to be computed.",
            ["rpc", "model"],
            buckets=SECONDS_BUCKETS,
            registry=self._registry,
        )
        self._finishes = self._counter(
            "continuations", "Generated continuations by reason of their end.", ("model", "finish_reason")
        )
        self._unauthenticated = self._counter("unauthenticated", "Calls rejected for a missing or invalid token.")
        self._turned_away = self._counter("turned_away", "Calls rejected because too many were open.")
        self._phases = Histogram(
            PREFIX + "phase_seconds",
            "Duration of each phase of answered calls: tokenize, queue, model, total.",
            ["rpc", "model", "phase"],
            buckets=SECONDS_BUCKETS,
            registry=self._registry,
        )

    def count_turned_away(self) -> None:
        self._turned_away.inc()

    def count_unauthenticated(self) -> None:
        self._unauthenticated.inc()

    def count_call(self, rpc: str, model: str, code: str) -> None:
        """`model`: a listed model's name, or empty."""
        self._calls.labels(rpc, model or NO_MODEL, code).inc()

    def count_answer(self, rpc: str, model: str, tokens: int, timings: Timings) -> None:
        self._tokens.labels(rpc, model).inc(tokens)
        for phase in ("tokenize", "queue", "model", "total"):
            self._phases.labels(rpc, model, phase).observe(getattr(timings, f"{phase}_ms") / 1000)

    def count_message(self, rpc: str, model: str, waited_s: float) -> None:
        """One message of a stream."""
        self._events.labels(rpc, model).inc()
        self._waits.labels(rpc, model).observe(waited_s)

    def count_finish(self, model: str, reason: str, count: int = 1) -> None:
        """Continuations that ended for the same reason."""
        self._finishes.labels(model, reason).inc(count)

    def families(self) -> Iterable[Metric]:
        """All metrics with their values; from any thread."""
        return self._registry.collect()

    def text(self) -> bytes:
        """All metrics in Prometheus' text format; from any thread."""
        return generate_latest(self._registry)

    def _counter(self, name: str, meaning: str, labels: Sequence[str] = ()) -> Counter:
        return Counter(PREFIX + name, meaning, labels, registry=self._registry)


class StatsCollector:
    """Reads the server's statistics at each scrape."""

    def __init__(self, registry: Registry, readiness: Readiness, read: Callable[[], ServerStats]) -> None:
        self._models = registry
        self._readiness = readiness
        self._read = read

    def collect(self) -> Iterator[Metric]:
        now = self._read()
        models = [((name,), model) for name, model in now.models.items()]
        caches = [(name, model.kv_cache) for name, model in models if model.kv_cache is not None]
        yield _gauge("ready", "1 if requests can be answered, else 0.", [((), not self._readiness.not_ready())])
        yield _gauge(
            "still_seconds", "Seconds the model thread has had work without finishing a step.",
            [((), self._readiness.still_s)],
        )  # fmt: skip
        yield _gauge(
            "model_state", "1 for the model's current state, 0 for the others.",
            [
                ((model.name, state.name.lower()), model.state is state)
                for model in self._models.models()
                for state in ModelState
            ],
            labels=("model", "state"),
        )  # fmt: skip
        yield from _families(ServerStats, [((), now)])
        yield from _families(QueueStats, [((), now.queue)])
        yield from _families(LogitsCacheStats, [((), now.logits_cache)])
        yield from _families(ModelStats, models, ("model",))
        yield from _families(KVCacheStats, caches, ("model",))
        used, limits = ([(name, getattr(cache, of)) for name, cache in caches] for of in ("bytes", "limit_bytes"))
        yield _gauge("kv_cache_bytes", "Memory used by cached keys and values.", used, ("model",))
        yield _gauge("kv_cache_limit_bytes", "Maximum memory for cached keys and values.", limits, ("model",))
        yield batch_sizes(now.queue.batch_sizes)


def _families(kind: type, rows: Rows, labels: Sequence[str] = ()) -> Iterator[Metric]:
    """A family for each field with a metric."""
    for field, hint in get_type_hints(kind, include_extras=True).items():
        for metric in getattr(hint, "__metadata__", ()):
            family = FAMILIES[type(metric)](PREFIX + metric.name, metric.meaning, labels=labels)
            for values, of_labels in rows:
                family.add_metric(values, getattr(of_labels, field))
            yield family


def _gauge(name: str, meaning: str, rows: Rows, labels: Sequence[str] = ()) -> GaugeMetricFamily:
    family = GaugeMetricFamily(PREFIX + name, meaning, labels=labels)
    for values, number in rows:
        family.add_metric(values, number)
    return family


def batch_sizes(sizes: Mapping[int, int]) -> Metric:
    """A histogram of batches counted by size."""
    counted = [(str(most), sum(count for size, count in sizes.items() if size <= most)) for most in BATCH_BUCKETS]
    buckets = [*counted, ("+Inf", sum(sizes.values()))]
    total = sum(size * count for size, count in sizes.items())
    return HistogramMetricFamily(f"{PREFIX}batch_size", "Requests per batch.", buckets, total)
