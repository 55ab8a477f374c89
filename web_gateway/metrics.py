"""Prometheus metrics: requests by route, method and code, latency, requests in flight, rejections."""

import asyncio
import contextlib
from contextlib import AbstractContextManager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
REASONS = ("host", "rate", "requests", "early", "connections", "bodies", "streams", "share", "key")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """The metrics of one gateway, in their own registry."""

    MEDIA_TYPE = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.in_flight = Gauge("nexttoken_gateway_requests_in_flight", "Requests in flight.", registry=self.registry)
        tasks = Gauge(
            "nexttoken_gateway_tasks",
            "asyncio tasks: requests, event streams and background work.",
            registry=self.registry,
        )
        tasks.set_function(count_tasks)
        self._requests = Counter(
            "nexttoken_gateway_requests",
            "Requests; code 499 means that the client disconnected first.",
            ["route", "method", "code"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "nexttoken_gateway_request_seconds",
            "Seconds from a request's arrival to the first byte of its response.",
            ["route"],
            buckets=BUCKETS,
            registry=self.registry,
        )

        self._streams = Gauge("nexttoken_gateway_streams", "Streamed answers under way.", registry=self.registry)
        self._stream_ends = Counter(
            "nexttoken_gateway_stream_ends",
            "Streamed answers by how they ended: done, left (the client disconnected) or an error's code.",
            ["route", "end"],
            registry=self.registry,
        )
        self._refusals = Counter(
            "nexttoken_gateway_refusals",
            "Rejected by reason: host, rate, requests (too many in flight), early (before Retry-After), connections,"
            " bodies (too much memory in long bodies), streams (too many streamed answers), share (one client's limit"
            " on any of these) or key (no valid API key).",
            ["reason"],
            registry=self.registry,
        )
        for reason in REASONS:
            self._refusals.labels(reason)

    def refused(self, reason: str) -> None:
        """Counts one rejection."""
        self._refusals.labels(reason).inc()

    def answered(self, route: str, method: str, code: int, seconds: float) -> None:
        """Counts one request. Unknown methods share one label, so clients can't grow the registry."""
        self._requests.labels(route, method if method in METHODS else "other", str(code)).inc()
        self._seconds.labels(route).observe(seconds)

    def streaming(self) -> AbstractContextManager[object]:
        """Counts a streamed answer as under way."""
        return self._streams.track_inprogress()

    def streamed(self, route: str, end: str) -> None:
        """Counts a streamed answer that ended."""
        self._stream_ends.labels(route, end).inc()

    def text(self) -> bytes:
        """All metrics in the Prometheus text format."""
        return generate_latest(self.registry)


def count_tasks() -> float:
    """Number of tasks in the running event loop; 0 outside of one."""
    with contextlib.suppress(RuntimeError):
        return len(asyncio.all_tasks())
    return 0
