"""The gateway's edge: rates by client, bounds at once, trusted proxies and names, other origins, slow readers."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import grpc
import httpx
import pytest
from gateways import gateway_here, problem, sample, scripted_server, until
from google.rpc import status_pb2
from grpc_status import rpc_status
from nexttoken.v1 import next_token_pb2 as pb
from servers import PATIENCE_S

from service_kit.settings import HostName, Network, Origin
from web_gateway.http import limits
from web_gateway.settings import Settings

HELLO = {"text": "hi"}


@contextlib.asynccontextmanager
async def answering(**settings: Any) -> AsyncIterator[Any]:
    """A gateway in front of a server that answers everything at once."""

    async def script(request: Any, context: Any) -> Any:
        return pb.TopKResponse() if isinstance(request, pb.TopKRequest) else pb.ListModelsResponse()

    async with scripted_server() as server, gateway_here(server.target, **settings) as gateway:
        server.service.script = script
        gateway.service = server.service
        yield gateway


async def ask(gateway: Any, address: str = "", **headers: str) -> httpx.Response:
    forwarded = {"x-forwarded-for": address} if address else {}
    answer: httpx.Response = await gateway.web.post("/api/next-token", json=HELLO, headers={**forwarded, **headers})
    return answer


async def refused(gateway: Any, reason: str) -> float:
    return sample((await gateway.web.get("/metrics")).text, "nexttoken_gateway_refusals_total", reason=reason)


async def test_a_client_may_send_a_burst_and_is_told_when_to_go_on() -> None:
    async with answering(rate_per_s=1, rate_burst=3) as gateway:
        answers = [await ask(gateway) for _ in range(20)]
        passed = [answer.status_code for answer in answers].index(429)
        assert passed >= 3
        words = problem(answers[passed], 429, "rate_limited")
        assert int(answers[passed].headers["retry-after"]) == 1
        assert "try again in 1 s" in words
        assert await refused(gateway, "rate") == [answer.status_code for answer in answers].count(429)
        assert (await gateway.web.get("/healthz")).status_code == 200  # probes and the page are not counted
        assert (await gateway.web.get("/")).status_code == 200
        async with asyncio.timeout(PATIENCE_S):
            while (await ask(gateway)).status_code == 429:  # noqa: ASYNC110  # time alone fills the bucket
                await asyncio.sleep(0.05)


@pytest.mark.parametrize("trusted", [True, False])
async def test_clients_are_told_apart_only_behind_a_trusted_proxy(trusted: bool) -> None:
    proxies = (Network("127.0.0.0/8"),) if trusted else (Network("10.0.0.0/8"),)
    async with answering(rate_per_s=1, rate_burst=1, trusted_proxies=proxies) as gateway:
        first = [(await ask(gateway, f"203.0.113.{at}")).status_code for at in range(8)]
        assert (set(first) == {200}) is trusted
        # What the client itself claims stands further left, and counts for nothing.
        lying = [(await ask(gateway, f"198.51.100.{at}, 203.0.113.99")).status_code for at in range(8)]
        assert 429 in lying


async def test_no_rate_is_asked_for_by_default() -> None:
    async with answering() as gateway:
        assert {(await ask(gateway)).status_code for _ in range(60)} == {200}


async def test_as_many_requests_at_once_as_may_be() -> None:
    free = asyncio.Event()
    begun: list[Any] = []

    async def script(request: Any, context: Any) -> pb.TopKResponse:
        begun.append(request)
        await free.wait()
        return pb.TopKResponse()

    async with answering(max_requests=2) as gateway:
        gateway.service.script = script
        waiting = [asyncio.create_task(ask(gateway)) for _ in range(2)]
        await until(lambda: len(begun) == 2)
        answer = await gateway.web.get("/api/models")
        problem(answer, 429, "overloaded")
        assert answer.headers["retry-after"] == "1"
        assert await refused(gateway, "requests") == 1
        assert (await gateway.web.get("/healthz")).status_code == 200
        free.set()
        assert [(await one).status_code for one in waiting] == [200, 200]
        assert (await ask(gateway)).status_code == 200


async def test_a_session_that_comes_back_sooner_than_told_does_not_reach_the_inference_server() -> None:
    full = True
    asked: list[str] = []

    async def script(request: Any, context: Any) -> pb.TopKResponse:
        asked.append(str(dict(context.invocation_metadata()).get("x-session")))
        if full:
            details = status_pb2.Status(
                code=grpc.StatusCode.RESOURCE_EXHAUSTED.value[0], message="as many requests are in flight as may be"
            )
            rich = rpc_status.to_status(details)
            await context.abort(rich.code, rich.details, (("grpc-retry-pushback-ms", "20"), *rich.trailing_metadata))
        return pb.TopKResponse()

    async with answering() as gateway:
        gateway.service.script = script
        for session in ("first", "first", "second"):
            answer = await ask(gateway, **{"x-session": session})
            problem(answer, 429, "overloaded")
            assert answer.headers["retry-after"] == "1"
        assert asked == ["first", "second"]
        assert await refused(gateway, "early") == 1
        full = False
        assert (await ask(gateway, **{"x-session": "third"})).status_code == 200
        assert (await ask(gateway)).status_code == 200
        assert (await gateway.web.get("/api/models", headers={"x-session": "first"})).status_code == 200
        async with asyncio.timeout(PATIENCE_S):
            while (await ask(gateway, **{"x-session": "first"})).status_code == 429:  # noqa: ASYNC110  # time alone helps
                await asyncio.sleep(0.05)


def test_only_so_many_impatient_sessions_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CLIENTS", 3)
    patience = limits.Patience(lambda reason: None)
    for number in range(10):
        patience._told(("here", f"s{number}"))
    assert [session for _, session in patience._until] == ["s7", "s8", "s9"]


async def test_as_many_connections_as_may_be() -> None:
    async with answering(max_connections=3) as gateway:
        held = [await asyncio.open_connection("127.0.0.1", gateway.port) for _ in range(3)]
        await until(lambda: len(gateway.server.server_state.connections) == 3)
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()
        for _, open_writer in held:
            open_writer.close()
        await until(lambda: not gateway.server.server_state.connections)
        assert (await ask(gateway)).status_code == 200
        assert await refused(gateway, "connections") == 1


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("example.org", 200),
        ("EXAMPLE.org:5005", 200),
        ("a.example.net", 200),
        ("[::1]:80", 200),
        ("a.b.example.net", 421),
        ("example.net", 421),
        ("example.org.evil.test", 421),
        ("127.0.0.1", 421),
        ("", 421),
    ],
)
async def test_names_the_gateway_answers_under(host: str, status: int) -> None:
    names = (HostName("example.org"), HostName("*.example.net"), HostName("[::1]"))
    async with answering(trusted_hosts=names) as gateway:
        answer = await ask(gateway, host=host)
        assert answer.status_code == status
        if status == 421:
            problem(answer, 421, "misdirected_request")
            assert await refused(gateway, "host") == 1
        for path, found in (("/readyz", 503), ("/metrics", 200)):  # probed by address, and not by any name
            asked = (await gateway.web.get(path, headers={"host": host})).status_code
            assert asked == (found if status == 200 or host in ("", "127.0.0.1") else 421)


@pytest.mark.parametrize("path", ["/", "/api/models", "/api/openapi.json", "/healthz", "/readyz", "/metrics", "/x"])
async def test_on_loopback_no_page_elsewhere_reaches_the_gateway_by_a_name_of_its_own(path: str) -> None:
    async with answering() as gateway:
        for host in ("localhost", "localhost:1", "127.0.0.1:5005", "[::1]"):
            assert (await gateway.web.get(path, headers={"host": host})).status_code != 421
        for host in ("evil.example", "evil.example:5005", "localhost.evil.example", "192.0.2.7", ""):
            answer = await gateway.web.get(path, headers={"host": host})
            assert "NEXTTOKEN_TRUSTED_HOSTS" in problem(answer, 421, "misdirected_request")
    async with answering(trusted_hosts=(HostName("*"),)) as gateway:
        assert (await gateway.web.get(path, headers={"host": "evil.example"})).status_code != 421


async def test_other_origins_are_told_nothing_unless_listed() -> None:
    asked = {
        "origin": "https://example.org",
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type",
    }
    async with answering() as gateway:
        answers = [await ask(gateway, origin="https://example.org")]
        answers.append(await gateway.web.options("/api/next-token", headers=asked))
        for answer in answers:
            assert [name for name in answer.headers if name.startswith("access-control")] == []
        assert answers[1].status_code == 405
    async with answering(cors_origins=(Origin("https://example.org"),), rate_per_s=1, rate_burst=1) as gateway:
        preflight = await gateway.web.options("/api/next-token", headers=asked)
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == "https://example.org"
        for _ in range(3):  # refusals can be read as well
            answer = await ask(gateway, origin="https://example.org")
            assert answer.headers["access-control-allow-origin"] == "https://example.org"
            assert "retry-after" in answer.headers["access-control-expose-headers"]
        assert answer.status_code == 429
        other = await ask(gateway, origin="https://evil.test")
        assert "access-control-allow-origin" not in other.headers


async def test_refusals_carry_an_id_and_the_security_headers() -> None:
    async with answering(rate_per_s=1, rate_burst=1, trusted_hosts=(HostName("example.org"),)) as gateway:
        answers = [await ask(gateway, host="example.org") for _ in range(4)] + [await ask(gateway)]
        assert {answer.status_code for answer in answers} == {200, 429, 421}
        for answer in answers:
            assert answer.headers["content-security-policy"].startswith("default-src 'self'")
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert len(answer.headers["x-request-id"]) == 32


async def test_a_fault_of_ours_shows_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError("private /etc/path")

    async with answering() as gateway:
        monkeypatch.setattr(limits, "client_of", broken)
        answer = await ask(gateway)
        words = problem(answer, 500, "internal")
        assert "private" not in answer.text
        assert answer.headers["x-request-id"] in words


async def test_started_is_not_ready(bundled: str) -> None:
    """The three probes before, with and after an inference server."""
    async with answering() as gateway:  # its server has no health service
        probes = [(await gateway.web.get(path)).status_code for path in ("/healthz", "/startupz", "/readyz")]
        assert probes == [200, 503, 503]
    async with gateway_here(bundled) as gateway:
        assert (await gateway.web.get("/startupz")).json() == {"status": "started"}
        gateway.app.state.inference.check_ready = gone
        probes = [(await gateway.web.get(path)).status_code for path in ("/healthz", "/startupz", "/readyz")]
        assert probes == [200, 200, 503]


async def gone(*_: Any) -> None:
    from web_gateway.errors import Unavailable

    raise Unavailable("gone")


def test_the_defaults_bound_what_they_can() -> None:
    settings = Settings()
    assert settings.max_requests < settings.max_connections < 1024  # open files, on most systems
    assert json.dumps([settings.rate_per_s, settings.cors_origins, settings.trusted_hosts]) == "[0, [], []]"
