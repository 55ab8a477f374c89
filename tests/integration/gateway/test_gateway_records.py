"""What a request leaves behind: its id on every tier, one line in the log, its place in the metrics. Never its text."""

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from gateways import sample, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

FRESH = re.compile(r"[0-9a-f]{32}")


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    """What both tiers log, request ids included."""
    with structlog.testing.capture_logs([structlog.contextvars.merge_contextvars]) as entries:
        yield entries


def of_requests(logged: list[Any]) -> list[Any]:
    """The lines that requests left: those of the watch that the fixture ended may still come."""
    return [entry for entry in logged if entry.get("rpc") != "WatchModels"]


async def test_the_callers_id_joins_both_tiers(tiers: Any, logged: list[Any]) -> None:
    answer = await tiers.web.post("/api/next-token", json={"text": "hi"}, headers={"x-request-id": "Joined_1.a-b"})
    assert answer.headers["x-request-id"] == "Joined_1.a-b"
    await until(lambda: {"call", "request"} <= {entry["event"] for entry in of_requests(logged)})
    assert {entry["request_id"] for entry in of_requests(logged)} == {"Joined_1.a-b"}


@pytest.mark.parametrize("offered", ["", "a" * 65, "a b", "é", "a;b", '{"a":1}'])
async def test_an_unusable_id_is_replaced(tiers: Any, logged: list[Any], offered: str) -> None:
    answer = await tiers.web.get("/api/models", headers={"x-request-id": offered.encode()})
    assert FRESH.fullmatch(answer.headers["x-request-id"])
    assert {entry["request_id"] for entry in of_requests(logged)} == {answer.headers["x-request-id"]}


async def test_every_answer_has_an_id_of_its_own(tiers: Any) -> None:
    paths = ("/", "/nothing", "/api/nothing", "/api/next-token", "/healthz", "/metrics", "/healthz")
    ids = [(await tiers.web.get(path)).headers["x-request-id"] for path in paths]
    assert all(FRESH.fullmatch(one) for one in ids)
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(
    ("method", "path", "body", "route", "status"),
    [
        ("POST", "/api/next-token", {"text": "private"}, "/api/next-token", 200),
        ("POST", "/api/next-token", {"text": "private", "top_k": 0}, "/api/next-token", 400),
        ("GET", "/private/path", None, "/", 404),
        ("GET", "/api/private", None, "/api", 404),
        ("DELETE", "/api/models?q=private", None, "/api/models", 405),
    ],
)
async def test_one_line_a_request_and_never_the_text(
    tiers: Any, logged: list[Any], method: str, path: str, body: Any, route: str, status: int
) -> None:
    await tiers.web.request(method, path, json=body)
    await until(lambda: "request" in {entry["event"] for entry in logged})
    (line,) = [entry for entry in logged if entry["event"] == "request"]
    assert (line["method"], line["route"], line["status"], line["log_level"]) == (method, route, status, "info")
    assert line["ms"] >= 0
    assert "private" not in json.dumps(logged)


async def test_polled_paths_are_quiet(tiers: Any, logged: list[Any]) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        await tiers.web.get(path)
    assert {entry["log_level"] for entry in logged if entry["event"] == "request"} == {"debug"}


async def test_requests_are_counted(tiers: Any) -> None:
    async def counts() -> list[float]:
        text = (await tiers.web.get("/metrics")).text
        labels = {"route": "/api/next-token", "method": "POST"}
        return [
            sample(text, "nexttoken_gateway_requests_total", **labels, code="200"),
            sample(text, "nexttoken_gateway_requests_total", **labels, code="400"),
            sample(text, "nexttoken_gateway_request_seconds_count", route="/api/next-token"),
        ]

    before = await counts()
    await tiers.web.post("/api/next-token", json={"text": "hi"})
    await tiers.web.post("/api/next-token", json={})
    assert [after - earlier for after, earlier in zip(await counts(), before, strict=True)] == [1, 1, 2]


async def test_odd_requests_do_not_grow_the_metrics(tiers: Any) -> None:
    for method in ("PROPFIND", "MKCOL"):
        for path in ("/a", "/b", "/api/c", "/api/d"):
            await tiers.web.request(method, path)
    text = (await tiers.web.get("/metrics")).text
    assert "PROPFIND" not in text
    assert set(re.findall(r'route="([^"]*)",method="other"|method="other",route="([^"]*)"', text)) <= {
        ("/", ""),
        ("/api", ""),
        ("", "/"),
        ("", "/api"),
    }


def outcomes(logged: list[Any]) -> set[tuple[str, Any]]:
    """What became of the requests, and of the calls they made."""
    requests = {(entry["method"], entry["status"]) for entry in logged if entry["event"] == "request"}
    return requests | {(entry["rpc"], entry["code"]) for entry in logged if entry["event"] == "call"}


async def test_a_client_that_left_is_counted_as_such(tiers: Any, logged: list[Any]) -> None:
    tiers.engine.gate = asyncio.Event()
    asking = asyncio.create_task(tiers.web.post("/api/next-token", json={"text": "hi"}))
    await until(lambda: bool(tiers.engine.queries))
    assert sample((await tiers.web.get("/metrics")).text, "nexttoken_gateway_requests_in_flight") == 2
    asking.cancel()
    await until(lambda: {("POST", 499), ("TopK", "CANCELLED")} <= outcomes(logged))
    assert tiers.engine.finished == 0
    text = (await tiers.web.get("/metrics")).text
    assert sample(text, "nexttoken_gateway_requests_in_flight") == 1
    assert sample(text, "nexttoken_gateway_requests_total", route="/api/next-token", method="POST", code="499") == 1
