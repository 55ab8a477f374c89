"""One request's spans across both services, received by a real collector; and nothing at all where none is set."""

import os
import subprocess
import sys
import threading
from typing import Any

import httpx
import pytest
from collector import collector
from gateways import gateway_process
from servers import PATIENCE_S, server_process

from service_kit import tracing
from service_kit.settings import SettingsError

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


def attributes(span: Any) -> dict[str, Any]:
    return {a.key: a.value.string_value or a.value.int_value or a.value.double_value for a in span.attributes}


def test_a_request_is_one_trace_through_both_services() -> None:
    with collector() as received:
        endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": received.url}
        with server_process(endpoint) as server:
            server.wait_for("tracing")
            server.wait_for("model ready", model="bundled")
            with gateway_process({**endpoint, "NEXTTOKEN_INFERENCE_TARGET": server.target}) as gateway:
                with httpx.Client(base_url=gateway.url, timeout=PATIENCE_S) as web:
                    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "x-request-id": "traced"}
                    answer = web.post("/api/next-token", json={"text": "Quetzal umbrella"}, headers=headers)
                    assert answer.status_code == 200
                    assert web.post("/api/next-token", json={"text": "x", "model": "nobody"}).status_code == 404
                    web.get("/healthz")
                assert gateway.stop() == 0
            server.process.terminate()
            assert server.end() == 0

    mine = {(service, span.name): span for service, span in received.spans if span.trace_id.hex() == TRACE}
    assert set(mine) == {
        ("web_gateway", "POST /api/next-token"),
        ("web_gateway", "TopK"),
        ("inference_server", "TopK"),
        *(("inference_server", phase) for phase in ("tokenize", "queue", "model")),
    }
    page, call = mine["web_gateway", "POST /api/next-token"], mine["web_gateway", "TopK"]
    served = mine["inference_server", "TopK"]
    assert page.parent_span_id.hex() == PARENT
    assert call.parent_span_id == page.span_id
    assert served.parent_span_id == call.span_id
    for phase in ("tokenize", "queue", "model"):
        span = mine["inference_server", phase]
        assert span.parent_span_id == served.span_id
        assert served.start_time_unix_nano <= span.start_time_unix_nano + 1_000_000  # clocks are read one by one
        assert span.start_time_unix_nano <= span.end_time_unix_nano <= served.end_time_unix_nano + 1_000_000
    assert attributes(page)["http.response.status_code"] == 200
    assert attributes(served)["rpc.response.status_code"] == "OK"
    assert attributes(page)["request_id"] == attributes(served)["request_id"] == "traced"

    others = {span.trace_id for _, span in received.spans} - {bytes.fromhex(TRACE)}
    assert others  # a request without a traceparent begins a trace of its own
    assert not [span for _, span in received.spans if "Check" in span.name or "healthz" in span.name]
    assert "Quetzal" not in str(received.spans)


def test_off_it_imports_nothing() -> None:
    script = (
        "import os, sys; from service_kit import tracing; assert not tracing.start('s', {})\n"
        "import inference_server.api.service, web_gateway.app\n"
        "with tracing.span('a', 'SERVER', {}, x=1) as span: assert span is None\n"
        "tracing.phase('b', 0.0, 1.0); tracing.failed(None, 'x'); tracing.stop(); assert tracing.carried() == ()\n"
        "sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=PATIENCE_S)


def test_a_collector_that_can_not_be_used_is_said_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="OTEL_EXPORTER_OTLP_ENDPOINT='collector:4318': must be a URL"):
        tracing.start("s", {"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"})
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)  # as if it were not installed
    with pytest.raises(SettingsError, match=r"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is set, .* install the extra"):
        tracing.start("s", {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:9"})


def test_a_service_that_can_not_trace_does_not_start() -> None:
    with gateway_process({"OTEL_EXPORTER_OTLP_ENDPOINT": "nowhere"}) as gateway:
        assert gateway.process.wait(PATIENCE_S) == 1
        assert "cannot start: OTEL_EXPORTER_OTLP_ENDPOINT='nowhere'" in gateway.log()


def test_a_collector_that_is_gone_harms_nobody() -> None:
    with gateway_process({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}) as gateway:
        assert httpx.get(f"{gateway.url}/", timeout=PATIENCE_S).status_code == 200
        assert gateway.stop() == 0


def test_a_collector_that_does_not_answer_holds_no_stop_up(monkeypatch: pytest.MonkeyPatch) -> None:
    before = set(threading.enumerate())
    with collector() as received:
        received.answering.clear()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", received.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "3600")
        monkeypatch.setattr(tracing, "LAST_WORDS_MS", 1)
        assert tracing.start("s", os.environ)
        with tracing.span("a"):
            pass
        stopping = threading.Thread(target=tracing.stop)
        stopping.start()
        stopping.join(PATIENCE_S)
        stopped = not stopping.is_alive()
        received.answering.set()
        for thread in set(threading.enumerate()) - before:
            if "Otel" in thread.name or "shutdown" in thread.name:
                thread.join(PATIENCE_S)
        assert stopped
        assert [span.name for _, span in received.spans] == ["a"]  # sent all the same, where the process goes on
