"""A call that the server drops without a word: a stop only where its health says so."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from gateways import ScriptedService, gateway_here, problem
from grpc_health.v1 import health_pb2_grpc
from nexttoken.v1 import next_token_pb2_grpc as pb_grpc

from inference_server.api.health import Health
from web_gateway.inference import failures

HELLO = {"text": "hi"}


@asynccontextmanager
async def dropping(serving: bool | None) -> AsyncIterator[str]:
    """The target of a server that drops every call; `serving` is what its health says, None: it has none."""
    server, service = grpc.aio.server(), ScriptedService()

    async def drop(request: Any, context: Any) -> None:
        await context.abort(grpc.StatusCode.CANCELLED, "")

    service.script = drop
    pb_grpc.add_NextTokenServiceServicer_to_server(service, server)  # type: ignore[no-untyped-call]  # generated
    if serving is not None:
        health = Health()
        health.set_serving(serving, "")
        health_pb2_grpc.add_HealthServicer_to_server(health, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


@pytest.mark.parametrize(
    ("serving", "status", "code", "words"),
    [
        (True, 429, "overloaded", failures.DROPPED),
        (False, 503, "unavailable", failures.STOPPING),
        (None, 503, "unavailable", failures.UNREACHABLE),
    ],
)
async def test_why_a_call_was_dropped(serving: bool | None, status: int, code: str, words: str) -> None:
    async with dropping(serving) as target, gateway_here(target) as gateway:
        answer = await gateway.web.post("/api/next-token", json=HELLO)
        assert problem(answer, status, code) == words
        assert (answer.headers.get("retry-after") == "1") == (status == 429)
