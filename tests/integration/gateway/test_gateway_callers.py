"""Whom the inference server is told of, so that it can deal fairly: the visitor's session, and the address."""

from typing import Any

import grpc
import pytest
from calls import trailers
from gateways import gateway_here, problem, scripted_server
from nexttoken.v1 import next_token_pb2 as pb

from service_kit.settings import Network

CHOSEN = {"x-session": "Visitor_1.a-b"}


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({}, {"x-client": "127.0.0.1"}),
        (CHOSEN, {"x-client": "127.0.0.1", "x-session": "Visitor_1.a-b"}),
        ({"x-session": "a b"}, {"x-client": "127.0.0.1"}),
        ({"x-session": "a" * 65}, {"x-client": "127.0.0.1"}),
        ({"x-client": "made-up"}, {"x-client": "127.0.0.1"}),
    ],
)
async def test_who_asks_is_told(headers: dict[str, str], told: dict[str, str]) -> None:
    seen: dict[str, Any] = {}

    async def script(request: Any, context: Any) -> None:
        seen.update(trailers(context.invocation_metadata()))
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "enough")

    async with scripted_server() as server, gateway_here(server.target) as gateway:
        server.service.script = script
        problem(await gateway.web.post("/api/next-token", json={"text": "hi"}, headers=headers), 500, "internal")
    assert {key: seen[key] for key in ("x-client", "x-session") if key in seen} == told


@pytest.mark.parametrize(
    ("forwarded", "told"),
    [
        ("2001:db8:1:2:3::7", "2001:db8:1:2::"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("caf\xe9", None),
        ("a\tb", None),
        ("a" * 20_000, None),
    ],
)
async def test_words_in_an_address_s_place_are_not_told(forwarded: str, told: str | None) -> None:
    """Metadata can't carry the last three; a household's addresses are one."""
    seen: dict[str, Any] = {}

    async def script(request: Any, context: Any) -> pb.TopKResponse:
        seen.update(trailers(context.invocation_metadata()))
        return pb.TopKResponse()

    proxies = (Network("127.0.0.0/8"),)
    async with scripted_server() as server, gateway_here(server.target, trusted_proxies=proxies) as gateway:
        server.service.script = script
        headers = {"x-forwarded-for": forwarded.encode("latin1")}
        answer = await gateway.web.post("/api/next-token", json={"text": "hi"}, headers=headers)
        assert answer.status_code == 200
    assert seen.get("x-client") == told
