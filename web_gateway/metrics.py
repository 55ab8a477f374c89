"""What Prometheus reads: requests by route, method and code, their time, and how many are in flight."""

import asyncio
import contextlib

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
REASONS = ("host", "rate", "requests", "early", "connections", "bodies", "share")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """The numbers of one gateway, in a registry of its own."""

    MEDIA_TYPE = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.in_flight = Gauge(
            "nexttoken_gateway_requests_in_flight", "Requests that are being answered.", registry=self.registry
        )
        tasks = Gauge(
            "nexttoken_gateway_tasks",
            "Tasks of the event loop: requests, event streams, and what runs beside them.",
            registry=self.registry,
        )
        tasks.set_function(count_tasks)
        self._requests = Counter(
            "nexttoken_gateway_requests",
            "Requests answered; code 499 counts clients that left first.",
            ["route", "method", "code"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "nexttoken_gateway_request_seconds",
            "From a request's arrival to the first byte of its answer.",
            ["route"],
            buckets=BUCKETS,
            registry=self.registry,
        )

        self._refusals = Counter(
            "nexttoken_gateway_refusals",
            "What was refused at the edge: host, rate, requests (too many at once), early (sooner than told),"
            " connections, bodies (too many long ones at once) or share (a client had its own share of these).",
            ["reason"],
            registry=self.registry,
        )
        for reason in REASONS:
            self._refusals.labels(reason)

    def refused(self, reason: str) -> None:
        """Counts what the edge refused."""
        self._refusals.labels(reason).inc()

    def answered(self, route: str, method: str, code: int, seconds: float) -> None:
        """Counts one request. Unusual methods share a label, so that nobody can grow the registry."""
        self._requests.labels(route, method if method in METHODS else "other", str(code)).inc()
        self._seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self.registry)


def count_tasks() -> float:
    """How many tasks the running event loop has; 0 outside of one."""
    with contextlib.suppress(RuntimeError):
        return len(asyncio.all_tasks())
    return 0
