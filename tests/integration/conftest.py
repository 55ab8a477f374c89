"""A server with a fake model, for the tests of its calls."""

from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import fakes
import pytest
import structlog
from servers import PATIENCE_S, connect, ready, server_here

from inference_server.settings import Settings


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    """What the server logs, request ids included."""
    with structlog.testing.capture_logs([structlog.contextvars.merge_contextvars]) as entries:
        yield entries


@pytest.fixture
async def setting(logged: list[Any]) -> AsyncIterator[Any]:
    """A server with a fake model, a client, and what lies behind them."""
    engine = fakes.FakeEngine()
    settings = Settings(model="bundled", grpc_port=0, drain_s=0, grace_s=PATIENCE_S)
    async with (
        server_here(settings, fakes.fetch, lambda name, folder: engine) as server,
        connect(f"127.0.0.1:{server.port}") as stub,
    ):
        await ready(stub, "bundled")
        yield SimpleNamespace(engine=engine, server=server, stub=stub)
