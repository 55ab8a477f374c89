"""Failures that no bad body causes: unknown paths, odd status codes, faults of ours. One shape, and nothing leaks."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
import pytest_asyncio
from gateways import NOWHERE, gateway_here, problem, scripted_server
from nexttoken.v1 import next_token_pb2 as pb

from web_gateway import about
from web_gateway.app import create_app
from web_gateway.inference.call import Call
from web_gateway.settings import Settings

pytestmark = pytest.mark.asyncio(loop_scope="module")

PRIVATE = "secret /etc/path of class AioRpcError"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scripted() -> AsyncIterator[Any]:
    """A gateway whose gRPC server does what the test says."""
    async with scripted_server() as server, gateway_here(server.target) as gateway:
        yield SimpleNamespace(web=gateway.web, service=server.service)


def aborts(code: grpc.StatusCode, words: str, *trailers: tuple[str, str]) -> Any:
    async def script(request: Any, context: Any) -> None:
        await context.abort(code, words, trailers)

    return script


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK], ids=str)
async def test_words_without_details_are_never_passed_on(scripted: Any, code: grpc.StatusCode) -> None:
    scripted.service.script = aborts(code, PRIVATE, ("grpc-retry-pushback-ms", "50"))
    answer = await scripted.web.post("/api/next-token", json={"text": "hi"})
    expected = {
        grpc.StatusCode.UNAVAILABLE: (503, "unavailable", None),
        grpc.StatusCode.CANCELLED: (503, "unavailable", None),
        grpc.StatusCode.DEADLINE_EXCEEDED: (504, "deadline_exceeded", None),
        grpc.StatusCode.RESOURCE_EXHAUSTED: (400, "invalid_argument", "top_k"),
    }
    assert "secret" not in problem(answer, *expected.get(code, (500, "internal", None)))


async def test_a_raised_exception_of_the_far_end_is_a_fault_in_general_words(scripted: Any) -> None:
    async def script(request: Any, context: Any) -> None:
        raise ValueError(PRIVATE)

    scripted.service.script = script
    answer = await scripted.web.post("/api/next-token", json={"text": "hi"})
    assert "secret" not in problem(answer, 500, "internal")


async def test_an_answer_larger_than_the_gateway_reads(scripted: Any) -> None:
    async def script(request: Any, context: Any) -> pb.ScoreResponse:
        token = pb.ScoredToken(candidate=pb.Candidate(token=pb.Token(bytes=bytes(2**20))))
        return pb.ScoreResponse(tokens=[token] * (about.MAX_ANSWER_BYTES // 2**20 + 1))

    scripted.service.script = script
    answer = await scripted.web.post("/api/score", json={"text": "hi", "top_k": 100})
    assert "would exceed 16 MiB; lower top_k" in problem(answer, 400, "invalid_argument", "top_k")


async def test_a_long_answer_arrives_whole(scripted: Any) -> None:
    async def script(request: Any, context: Any) -> pb.ScoreResponse:
        places = [pb.Candidate(token=pb.Token(token_id=i, bytes=b"x" * 50, text="x" * 50)) for i in range(100)]
        return pb.ScoreResponse(tokens=[pb.ScoredToken(candidate=places[0], alternatives=places)] * 100)

    scripted.service.script = script
    answer = await scripted.web.post("/api/score", json={"text": "hi", "top_k": 100})
    assert [len(token["alternatives"]) for token in answer.json()["tokens"]] == [100] * 100


async def test_numbers_that_json_lacks_are_null(scripted: Any) -> None:
    nothing, endless = float("-inf"), float("inf")

    async def script(request: Any, context: Any) -> Any:
        place = pb.Candidate(token=pb.Token(token_id=3), rank=9, logit=nothing, probability=0, logprob=nothing)
        if isinstance(request, pb.TopKRequest):
            return pb.TopKResponse(candidates=[place])
        token = pb.ScoredToken(candidate=place)
        return pb.ScoreResponse(tokens=[token], total_logprob=nothing, perplexity=endless, bits_per_byte=endless)

    scripted.service.script = script
    (place,) = (await scripted.web.post("/api/next-token", json={"text": "hi"})).json()["candidates"]
    assert (place["logit"], place["probability"], place["logprob"], place["text"]) == (None, 0, None, None)
    scored = (await scripted.web.post("/api/score", json={"text": "hi"})).json()
    assert [scored[name] for name in ("total_logprob", "perplexity", "bits_per_byte")] == [None] * 3
    assert scored["tokens"][0]["logprob"] is None


async def test_a_state_of_a_newer_server_is_unknown(scripted: Any) -> None:
    async def script(request: Any, context: Any) -> pb.ListModelsResponse:
        return pb.ListModelsResponse(models=[pb.Model(name="m", state=99)])  # type: ignore[arg-type]

    scripted.service.script = script
    (model,) = (await scripted.web.get("/api/models")).json()["models"]
    assert (model["name"], model["state"], model["facts"]) == ("m", "unknown", None)


async def test_a_server_without_health_is_not_ready(scripted: Any) -> None:
    problem(await scripted.web.get("/readyz"), 503, "unavailable")


@pytest.mark.parametrize(
    "path",
    ["/nothing", "/api", "/api/", "/api/nothing", "/api/models/", "/api/models/nothing", "/healthz/", "/%00"],
)
async def test_unknown_paths(scripted: Any, path: str) -> None:
    assert "/api/openapi.json" in problem(await scripted.web.get(path), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/api/next-token", {"POST"}),
        ("PUT", "/api/next-token", {"POST"}),
        ("DELETE", "/api/score", {"POST"}),
        ("GET", "/api/models/load", {"POST"}),
        ("POST", "/api/models", {"GET", "HEAD"}),
        ("OPTIONS", "/api/models", {"GET", "HEAD"}),
        ("POST", "/api/models/events", {"GET", "HEAD"}),
        ("POST", "/healthz", {"GET", "HEAD"}),
        ("POST", "/", {"GET", "HEAD"}),
    ],
)
async def test_methods_a_path_does_not_take(scripted: Any, method: str, path: str, allowed: set[str]) -> None:
    answer = await scripted.web.request(method, path)
    problem(answer, 405, "method_not_allowed")
    assert set(answer.headers["allow"].split(", ")) == allowed


async def test_nobody_to_ask() -> None:
    async with gateway_here(NOWHERE) as gateway:
        for answer in (
            await gateway.web.post("/api/next-token", json={"text": "hi"}),
            await gateway.web.post("/api/score", json={"text": "hi"}),
            await gateway.web.post("/api/models/load", json={"name": "m"}),
            await gateway.web.get("/api/models"),
            await gateway.web.get("/readyz"),
        ):
            assert "Can't reach" in problem(answer, 503, "unavailable")
        assert (await gateway.web.get("/healthz")).status_code == 200


async def test_a_fault_of_the_gateways_own() -> None:
    class Broken:
        async def models(self, call: Call) -> None:
            raise KeyError(PRIVATE)

    @asynccontextmanager
    async def connect(settings: Settings) -> AsyncIterator[Any]:
        yield Broken()

    app = create_app(Settings(), connect)
    async with gateway_here(NOWHERE, app) as gateway:
        answer = await gateway.web.get("/api/models", headers={"x-request-id": "the-one"})
        assert "under request id the-one" in problem(answer, 500, "internal")
        assert answer.headers["x-request-id"] == "the-one"
        assert "content-security-policy" in answer.headers
        assert (await gateway.web.get("/healthz")).status_code == 200
