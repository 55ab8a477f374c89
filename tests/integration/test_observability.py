"""A real Prometheus reads both services; every expression of the dashboard and the alerts gives numbers."""

import contextlib
import json
import math
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from gateways import gateway_process
from servers import PATIENCE_S, ROOT, server_process

OBSERVABILITY = ROOT / "observability"
PROMETHEUS = shutil.which("prometheus")
ADDRESS = re.compile(r"[Ll]istening on[^\n]*?(127\.0\.0\.1:\d+)")

pytestmark = pytest.mark.skipif(not PROMETHEUS, reason="needs prometheus and promtool: apt install prometheus")


@contextlib.contextmanager
def prometheus(folder: Path, targets: dict[str, str]) -> Iterator[httpx.Client]:
    """A Prometheus with the project's rules that reads these targets every second."""
    config = {
        "global": {"scrape_interval": "1s"},
        "rule_files": [str(OBSERVABILITY / "alerts.yml")],
        "scrape_configs": [{"job_name": job, "static_configs": [{"targets": [at]}]} for job, at in targets.items()],
    }
    (folder / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML
    arguments = ["--config.file=prometheus.yml", "--storage.tsdb.path=data", "--web.listen-address=127.0.0.1:0"]
    with (folder / "log").open("w+") as log:
        running = subprocess.Popen(["prometheus", *arguments], cwd=folder, stdout=log, stderr=log)
        try:
            limit = time.monotonic() + PATIENCE_S
            while not (found := ADDRESS.search((folder / "log").read_text())):
                assert running.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < limit, (folder / "log").read_text()
                time.sleep(0.05)
            with httpx.Client(base_url=f"http://{found[1]}", timeout=PATIENCE_S) as web:
                yield web
        finally:
            running.terminate()
            running.wait()


def query(web: httpx.Client, expression: str) -> list[float]:
    """The values an expression has now."""
    answer = web.get("/api/v1/query", params={"query": expression}).json()
    assert answer["status"] == "success", (expression, answer)
    return [float(result["value"][1]) for result in answer["data"]["result"]]


def expressions() -> list[str]:
    """The dashboard's, and what the alerts compare with a bound."""
    panels: list[dict[str, Any]] = json.loads((OBSERVABILITY / "grafana/dashboards/next-token.json").read_text())[
        "panels"
    ]
    shown = [target["expr"].replace("$__rate_interval", "1m") for panel in panels for target in panel["targets"]]
    alerts = re.findall(r"^ +expr: (.+)$", (OBSERVABILITY / "alerts.yml").read_text(), re.MULTILINE)
    compared = [re.sub(r" (==|>|<) [\d.]+$", "", alert) for alert in alerts]
    assert len(compared) == 7
    assert [alert for alert, left in zip(alerts, compared, strict=True) if alert == left] == []
    return shown + compared


def click(web: httpx.Client, at: int) -> None:
    """A prompt, the first bar twice, a refusal and a failure."""
    prompt = web.post("/api/next-token", json={"text": f"Once upon a time {at}", "include_prompt_tokens": True}).json()
    ids = [token["token_id"] for token in prompt["prompt"]["tokens"]]
    for _ in range(2):
        ids.append(web.post("/api/next-token", json={"token_ids": ids}).json()["candidates"][0]["token_id"])
    assert web.post("/api/next-token", json={}).status_code == 400
    assert web.post("/api/next-token", json={"text": "x", "model": "/no/such"}).status_code == 503


def test_every_expression_gives_numbers(tmp_path: Path) -> None:
    server_env = {"NEXTTOKEN_METRICS_PORT": "0", "NEXTTOKEN_MODELS": "/no/such"}
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(server_process(server_env))
        monitor = f"127.0.0.1:{server.wait_for('serving metrics')['port']}"
        gateway = stack.enter_context(gateway_process({"NEXTTOKEN_INFERENCE_TARGET": server.target}))
        server.wait_for("model ready", model="bundled")
        server.wait_for("model not loaded", model="/no/such")
        page = stack.enter_context(httpx.Client(base_url=gateway.url, timeout=PATIENCE_S))
        targets = {"inference_server": monitor, "gateway": f"127.0.0.1:{page.base_url.port}"}
        web = stack.enter_context(prometheus(tmp_path, targets))

        faults = dict.fromkeys(expressions(), "not asked")
        limit = time.monotonic() + PATIENCE_S
        at = 0
        while faults and time.monotonic() < limit:  # rates need two readings and work between them
            click(page, at := at + 1)
            time.sleep(1)
            given = {expression: query(web, expression) for expression in faults}
            faults = {
                expression: str(values)
                for expression, values in given.items()
                if not values or any(math.isnan(value) for value in values)
            }
        assert faults == {}
        assert query(web, "min(up)") == [1]
        assert query(web, "sum(nexttoken_inference_prompts_total)")[0] >= 3


def test_the_files_are_what_promtool_expects() -> None:
    subprocess.run(
        ["promtool", "check", "config", "prometheus.yml"], cwd=OBSERVABILITY, check=True, capture_output=True
    )
    subprocess.run(["promtool", "test", "rules", "alerts_test.yml"], cwd=OBSERVABILITY, check=True, capture_output=True)
