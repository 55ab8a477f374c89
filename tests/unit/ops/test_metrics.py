"""The metrics as docs, dashboard and alerts name them are those that both services export."""

import json
import re
from pathlib import Path

import fakes
from prometheus_client.parser import text_string_to_metric_families

import inference_server.ops.metrics
import web_gateway.metrics
from inference_server.messages import Timings
from inference_server.models.registry import Registry
from inference_server.ops.readiness import Readiness
from inference_server.scheduler.watchdog import Watchdog
from inference_server.stats import KVCacheStats, LogitsCacheStats, ModelStats, QueueStats, ServerStats

ROOT = Path(__file__).parents[3]
DOCUMENT = ROOT / "docs" / "operations.md"
DASHBOARD = ROOT / "observability" / "grafana" / "dashboards" / "next-token.json"
ALERTS = ROOT / "observability" / "alerts.yml"
NAME = re.compile(r"nexttoken_(?:gateway|inference)_\w+")


def exported() -> dict[str, str]:
    """Every metric of our own and its meaning; samples of a histogram and of a counter under the metric's name."""
    registry = Registry("bundled", (), fakes.fetch, lambda name, folder: fakes.FakeEngine())
    readiness = Readiness(registry, Watchdog(), "any", 1.0)
    store = KVCacheStats(1, 1, 1, 1, 1, 1, 1)
    model = ModelStats(prompts=1, prefetch_hits=1, prefetch_passes=1, computed_tokens=1, kv_cache=store)
    queue, kept = QueueStats(1, 1, 1, 1, 1, 1, 1, {1: 1, 3: 2}), LogitsCacheStats(1, 1, 1, 1, 1, 1, 1)
    now = ServerStats(queue, kept, {"bundled": model}, 1)
    served = inference_server.ops.metrics.Metrics(
        inference_server.ops.metrics.StatsCollector(registry, readiness, lambda: now)
    )
    served.count_call("TopK", "bundled", "OK")
    served.count_answer("TopK", "bundled", 1, Timings(1, 1, 1, 1))
    texts = (served.text(), web_gateway.metrics.Metrics().text())
    families = [family for text in texts for family in text_string_to_metric_families(text.decode())]
    return {
        family.name + ("_total" if family.type == "counter" else ""): family.documentation
        for family in families
        if family.name.startswith("nexttoken") and not family.name.endswith("_created")
    }


def test_the_table_of_metrics_is_what_is_exported() -> None:
    table = DOCUMENT.read_text(encoding="utf-8").split("<!-- metrics -->")[1].split("<!-- /metrics -->")[0]
    rows = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in table.strip().splitlines()[2:]]
    assert {row[0].strip("`"): row[2] for row in rows} == exported()


def test_every_metric_named_elsewhere_exists() -> None:
    known = {
        name for metric in exported() for name in (metric, *(f"{metric}_{of}" for of in ("bucket", "sum", "count")))
    }
    for path in (DASHBOARD, ALERTS, DOCUMENT):
        named = set(NAME.findall(path.read_text(encoding="utf-8")))
        assert named
        assert named - known == set(), path.name


def test_every_alert_is_explained_and_tried() -> None:
    alerts = set(re.findall(r"- alert: (\w+)", ALERTS.read_text()))
    section = DOCUMENT.read_text(encoding="utf-8").split("## Alerts")[1].split("\n## ")[0]
    explained = set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))
    tried = set(re.findall(r"alertname: (\w+)", (ALERTS.parent / "alerts_test.yml").read_text()))
    assert alerts == explained == tried


def test_the_dashboards_panels_do_not_overlap() -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)


def test_batches_add_up() -> None:
    samples = {
        sample.labels["le"]: sample.value
        for sample in inference_server.ops.metrics.batch_sizes({1: 4, 3: 2, 300: 1}).samples
        if sample.name.endswith("_bucket")
    }
    assert (samples["1"], samples["2"], samples["4"], samples["256"], samples["+Inf"]) == (4, 4, 6, 6, 7)
