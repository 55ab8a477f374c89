"""What a container's healthcheck says of a server that answers, one that does not yet, and one that is not there."""

import asyncio
import threading

import fakes
from servers import PATIENCE_S, connect, ready, server_here

from inference_server.models.adapter import Files
from inference_server.ops import probe
from inference_server.settings import Settings

NOWHERE = 1  # a port where nothing listens


def test_nobody_there() -> None:
    assert probe.probe_grpc(Settings(grpc_port=NOWHERE)) == "no answer: UNAVAILABLE"
    assert probe.probe_http(Settings(metrics_port=NOWHERE)).startswith("no answer: ")


def test_over_tls_the_port_for_probes_is_needed() -> None:
    assert "NEXTTOKEN_METRICS_PORT" in probe.probe_http(Settings(metrics_port=0))


async def test_a_server_says_so_itself() -> None:
    loaded = threading.Event()

    def load(name: str, folder: Files) -> fakes.FakeEngine:
        assert loaded.wait(PATIENCE_S)
        return fakes.FakeEngine()

    settings = Settings(model="bundled", grpc_port=0, drain_s=0, grace_s=PATIENCE_S)
    async with server_here(settings, fakes.fetch, load) as server:
        asked = Settings(grpc_port=server.port)
        assert await asyncio.to_thread(probe.probe_grpc, asked) == "NOT_SERVING"
        loaded.set()
        async with connect(f"127.0.0.1:{server.port}") as stub:
            await ready(stub, "bundled")
        async with asyncio.timeout(PATIENCE_S):
            while await asyncio.to_thread(probe.probe_grpc, asked):
                pass
