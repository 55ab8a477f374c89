"""What both services log as real processes: how much, changed while they run; and never a word of what users write."""

import json
import signal
from typing import Any

import httpx
import pytest
from gateways import GatewayProcess, gateway_process
from servers import PATIENCE_S, ServerProcess, server_process

PRIVATE = "Zanzibar quetzal umbrella"
DEBUG = {"NEXTTOKEN_LOG_LEVEL": "debug"}


def words_of(gateway: GatewayProcess, server: ServerProcess) -> str:
    return gateway.log() + "\n".join(server.log)


def ask_all(web: httpx.Client) -> dict[int, str]:
    """Asks with the secret in every place a text can take, well and badly; the request ids by status."""
    bodies: list[dict[str, Any]] = [
        {"text": PRIVATE, "include_prompt_tokens": True},
        {"text": PRIVATE, "top_k": 0},
        {"text": f"{PRIVATE} \ud800"},
        {"text": PRIVATE * 30_000},
        {"text": PRIVATE, "model": "nobody"},
        {"text": [PRIVATE]},
        {"txet": PRIVATE},
        {"text": PRIVATE, "draws": [PRIVATE]},
    ]
    ids = {}
    for path in ("/api/next-token", "/api/score", "/api/layers"):
        for body in bodies:
            answer = web.post(path, content=json.dumps(body), headers={"content-type": "application/json"})
            ids[answer.status_code] = answer.headers["x-request-id"]
        web.post(path, content=f'{{"text": "{PRIVATE}', headers={"content-type": "application/json"})
        web.post(path, content=PRIVATE, headers={"content-type": "text/plain"})
    return ids


@pytest.mark.parametrize("log_text", ["", "true"])
def test_the_log_joins_both_tiers_and_holds_the_text_only_where_asked(log_text: str) -> None:
    with server_process({**DEBUG, "NEXTTOKEN_LOG_TEXT": log_text}) as server:
        server.wait_for("model ready", model="bundled")
        with gateway_process({**DEBUG, "NEXTTOKEN_INFERENCE_TARGET": server.target}) as gateway:
            with httpx.Client(base_url=gateway.url, timeout=PATIENCE_S) as web:
                ids = ask_all(web)
            assert {200, 400, 404} <= set(ids)
            line = server.wait_for("call", request_id=ids[200])
            assert line["code"] == "OK"
            assert ids[200] in gateway.log()
            assert line.get("text") == (PRIVATE if log_text else None)
            logged = words_of(gateway, server)
            if not log_text:
                assert [word for word in PRIVATE.split() if word in logged] == []


def test_the_level_follows_signals() -> None:
    with server_process(cold=True) as server, gateway_process(cold=True) as gateway:
        server.wait_for("model ready", model="bundled")
        server.process.send_signal(signal.SIGUSR1)
        assert server.wait_for("log level changed", now="debug")["before"] == "info"
        server.process.send_signal(signal.SIGUSR2)
        server.wait_for("log level changed", now="info")

        assert "healthz" not in gateway.log()
        gateway.process.send_signal(signal.SIGUSR1)
        with httpx.Client(base_url=gateway.url, timeout=PATIENCE_S) as web:
            while "healthz" not in gateway.log():
                web.get("/healthz")
        gateway.process.send_signal(signal.SIGUSR2)
        assert gateway.stop() == 0
        assert '"now": "info"' in gateway.log()
