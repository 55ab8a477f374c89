"""A gateway before the real gRPC service with a fake model, shared by a file's tests; the fake is reset for each."""

from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import fakes
import pytest
import pytest_asyncio
from gateways import BODY_LIMIT, gateway_here, run_gateway, scripted_server
from servers import PATIENCE_S, connect, ready, run_inference_server, server_here

from inference_server import settings as inference


@pytest.fixture(scope="session")
def bundled() -> Iterator[str]:
    """The target of the real inference server with its bundled model, in a process of its own."""
    with run_inference_server() as target:
        yield target


@pytest.fixture(scope="session")
def real(bundled: str) -> Iterator[str]:
    """The address of a gateway in front of it, as the real command too."""
    with run_gateway(bundled) as url:
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack() -> AsyncIterator[Any]:
    """Both tiers on one event loop: `.web` asks, `.engine` is what answers at the far end."""
    engine = fakes.FakeEngine()
    settings = inference.Settings(model="bundled", grpc_port=0, drain_s=0, grace_s=PATIENCE_S)
    async with server_here(settings, fakes.fetch, lambda name, folder: engine) as server:
        async with connect(f"127.0.0.1:{server.port}") as stub:
            await ready(stub, "bundled")
        async with gateway_here(f"127.0.0.1:{server.port}") as gateway:
            await gateway.server._announcing  # it asks too, and would leave lines in the log
            yield SimpleNamespace(**vars(gateway), engine=engine, inference=server)


@pytest.fixture
def tiers(stack: Any) -> Any:
    """The stack with a model that answers and remembers nothing."""
    stack.engine.failure = stack.engine.gate = None
    stack.engine.queries.clear()
    stack.engine.deadlines.clear()
    stack.engine.clients.clear()
    stack.engine.finished = stack.engine.closed = 0
    stack.engine.breaks_after = stack.engine.breaking = None
    return stack


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bounded() -> AsyncIterator[Any]:
    """A gateway that reads short bodies, and a server that tells of its calls."""
    async with (
        scripted_server() as server,
        gateway_here(server.target, max_body_bytes=BODY_LIMIT, timeout_s=600) as gateway,
    ):
        yield SimpleNamespace(**vars(gateway), service=server.service)
