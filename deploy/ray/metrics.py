"""Publishes a replica's metrics in the Prometheus endpoint of its Ray node, as ray_nexttoken_inference_…"""

import asyncio
from collections.abc import Iterable
from typing import Any

import structlog
from prometheus_client.core import Metric
from ray.serve import metrics

from inference_server.ops.metrics import PREFIX, Metrics

INTERVAL_S = 5.0

logger = structlog.get_logger()


async def publish(source: Metrics) -> None:
    """Publishes again and again until cancelled."""
    published = Published()
    while True:
        try:
            published.update(await asyncio.to_thread(lambda: list(source.families())))
        except Exception:
            logger.exception("metrics not published")
        await asyncio.sleep(INTERVAL_S)


class Published:
    """Ray's metrics of the same names; Ray adds the application, deployment and replica."""

    def __init__(self) -> None:
        self._metrics: dict[str, Any] = {}
        self._counted: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}

    def update(self, families: Iterable[Metric]) -> None:
        """Sets gauges; raises counters, of which histograms consist, by what has come since."""
        for family in families:
            if not family.name.startswith(PREFIX):
                continue
            for sample in family.samples:
                name = sample.name.removesuffix("_total")
                if name.endswith("_created"):
                    continue
                if family.type == "gauge":
                    self._metric(metrics.Gauge, name, family, sample.labels).set(sample.value, tags=sample.labels)
                    continue
                key = (name, tuple(sorted(sample.labels.items())))
                if (more := sample.value - self._counted.get(key, 0.0)) > 0:
                    self._metric(metrics.Counter, name, family, sample.labels).inc(more, tags=sample.labels)
                    self._counted[key] = sample.value

    def _metric(self, kind: type, name: str, family: Metric, labels: dict[str, str]) -> Any:
        if name not in self._metrics:
            self._metrics[name] = kind(name, family.documentation, tag_keys=tuple(labels))
        return self._metrics[name]
