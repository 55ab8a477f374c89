"""Why no connection comes about, asked by every call that fails."""

import asyncio
import socket
from typing import Any

import pytest
import structlog
from gateways import gateway_here, problem
from ports import free_port
from servers import PATIENCE_S

from web_gateway.inference.channel import open_link
from web_gateway.inference.tls_diagnosis import MAX_ADDRESSES, diagnose
from web_gateway.settings import Settings


async def test_calls_that_fail_at_any_moment_of_a_diagnosis_are_answered() -> None:
    asked: list[asyncio.Task[str | None]] = []
    async with asyncio.timeout(PATIENCE_S), open_link(Settings(inference_target=f"localhost:{free_port()}")) as link:
        while not asked or not asked[0].done():
            asked.append(asyncio.create_task(link.fault()))
            await asyncio.sleep(0)  # one at each turn of the loop, so one between the end of it and what follows
        assert await asyncio.gather(*asked) == [None] * len(asked)


async def test_a_search_that_fails_is_no_answer_s_fault() -> None:
    """No host has the empty name that the target holds: Python's own codec refuses it, with no OSError."""
    with structlog.testing.capture_logs() as entries:
        async with gateway_here("dns:///.svc:50051", allow_plaintext=True) as gateway:
            words = problem(await gateway.web.get("/api/models"), 503, "unavailable")
            assert "Can't reach" in words
            assert not gateway.server._announcing.done()
    assert {entry["event"] for entry in entries if entry.get("exc_info")} == {"TLS diagnosis failed"}


def test_so_many_addresses_are_tried_however_many_a_name_has(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    look_up = socket.getaddrinfo
    tried = []

    class Socket(socket.socket):
        def connect(self, address: Any) -> None:
            tried.append(address)
            super().connect(address)

    def thirty(host: str, *rest: Any, **more: Any) -> list[Any]:
        hosts = [f"127.0.0.{at}" for at in range(1, 31)] if host == "models.test" else [host]
        return [answer for each in hosts for answer in look_up(each, *rest, **more)]

    monkeypatch.setattr(socket, "getaddrinfo", thirty)
    monkeypatch.setattr(socket, "socket", Socket)
    assert diagnose(Settings(inference_target=f"models.test:{port}")) is None
    assert tried == [(f"127.0.0.{at}", port) for at in range(1, MAX_ADDRESSES + 1)]
