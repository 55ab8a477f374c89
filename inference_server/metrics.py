"""What Prometheus reads of the inference server. Knows numbers and names, and neither gRPC nor torch."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from inference_server.readiness import Readiness
from inference_server.registry import ModelState, Registry
from inference_server.scheduler import Scheduler
from inference_server.values import ScoreAnswer, Timings, TopKAnswer

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
            "nexttoken_inference_calls",
            "Calls that ended, by RPC, model and gRPC status code.",
            ["rpc", "model", "code"],
            registry=self._registry,
        )
        self._phases = Histogram(
            "nexttoken_inference_phase_seconds",
            "Of answered calls: seconds spent on each phase (tokenize, queue, model) and in all (total).",
            ["rpc", "model", "phase"],
            buckets=SECONDS,
            registry=self._registry,
        )
        self._tokens = Counter(
            "nexttoken_inference_tokens",
            "Prompt tokens of answered calls.",
            ["rpc", "model"],
            registry=self._registry,
        )
        self._cached_tokens = Counter(
            "nexttoken_inference_cached_tokens",
            "Prompt tokens of answered TopK calls that were not computed for them.",
            ["model"],
            registry=self._registry,
        )
        self._lookahead_hits = Counter(
            "nexttoken_inference_lookahead_hits",
            "Answers that were computed before they were asked for.",
            ["model"],
            registry=self._registry,
        )

    def ended(self, rpc: str, model: str, code: str) -> None:
        """Counts a call; `model` is a listed one's name, or empty."""
        self._calls.labels(rpc, model or NO_MODEL, code).inc()

    def answered_top_k(self, model: str, answer: TopKAnswer) -> None:
        """Counts an answer: its tokens, and where they came from."""
        self._answered("TopK", model, answer.token_count, answer.timings)
        self._cached_tokens.labels(model).inc(answer.cached_tokens)
        self._lookahead_hits.labels(model).inc(answer.lookahead_hit)

    def answered_score(self, model: str, answer: ScoreAnswer) -> None:
        """As answered_top_k."""
        self._answered("Score", model, len(answer.tokens), answer.timings)

    def _answered(self, rpc: str, model: str, tokens: int, timings: Timings) -> None:
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
    """What is so at the moment of asking, read when Prometheus asks."""

    def __init__(self, registry: Registry, scheduler: Scheduler, readiness: Readiness) -> None:
        self._models = registry
        self._scheduler = scheduler
        self._readiness = readiness

    def collect(self) -> Iterator[Metric]:
        """Each number now."""
        queue = self._scheduler.gauges
        yield _gauge("requests_in_flight", "Requests admitted and not yet answered.", queue.in_flight)
        yield _gauge("queue_depth", "Jobs that wait for the model thread.", queue.waiting)
        yield _gauge("queue_limit", "Requests in flight before new ones are refused.", queue.limit)
        yield _gauge("ready", "1 where requests can be answered, else 0.", not self._readiness.not_ready())
        yield _gauge("still_seconds", "How long work has waited for a step.", self._scheduler.progress.still_s())
        yield self._states()

    def _states(self) -> Metric:
        states = _gauge(
            "model_state", "1 for the state that a model is in, 0 for the others.", labels=("model", "state")
        )
        for model in self._models.models():
            for state in ModelState:
                states.add_metric([model.name, state.name.lower()], model.state is state)
        return states


def _gauge(name: str, meaning: str, value: float | None = None, labels: tuple[str, ...] = ()) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"nexttoken_inference_{name}", meaning, value, labels or None)
