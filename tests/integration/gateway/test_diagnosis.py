"""Why no connection comes about, asked by every call that fails."""

import asyncio

import structlog
from bench.stack import free_port
from gateways import gateway_here, problem
from servers import PATIENCE_S

from web_gateway.channel import linked
from web_gateway.settings import Settings


async def test_calls_that_fail_at_any_moment_of_a_diagnosis_are_answered() -> None:
    asked: list[asyncio.Task[str | None]] = []
    async with asyncio.timeout(PATIENCE_S), linked(Settings(inference_target=f"localhost:{free_port()}")) as link:
        while not asked or not asked[0].done():
            asked.append(asyncio.create_task(link.fault()))
            await asyncio.sleep(0)  # one at each turn of the loop, so one between the end of it and what follows
        assert await asyncio.gather(*asked) == [None] * len(asked)


async def test_a_search_that_fails_is_no_answer_s_fault() -> None:
    """No host has the empty name that the target holds: Python's own codec refuses it, with no OSError."""
    with structlog.testing.capture_logs() as entries:
        async with gateway_here("dns:///.svc:50051", allow_plaintext=True) as gateway:
            words = problem(await gateway.web.get("/api/models"), 503, "unavailable")
            assert "can't be reached" in words
            assert not gateway.server._announcing.done()
    assert {entry["event"] for entry in entries if entry.get("exc_info")} == {"the search for the cause failed"}
