"""The gateway as a process: how it starts, stops and outlives what it asks. Nothing here is faked but slow answers."""

import asyncio
import contextlib
import json
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import fakes
import httpx
import psutil
import pytest
import structlog
from gateways import gateway_here, gateway_process, problem, scripted_server, until
from nexttoken.v1 import next_token_pb2 as pb
from ports import free_port
from servers import PATIENCE_S, connect, ready, server_here, server_process

from inference_server import settings as inference

started = partial(gateway_process, cold=True)
HELLO = {"text": "Once upon a time", "top_k": 3}
WITHOUT_HEAVY_PACKAGES = """
import runpy, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "transformers", "numpy", "tokenizers", "inference_server"}:
            raise AssertionError(f"the gateway imports {name}")

sys.meta_path.insert(0, Absent())
runpy.run_module("web_gateway", run_name="__main__")
"""


@contextlib.contextmanager
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        yield bound.getsockname()[1]


def eventually(ask: Callable[[], httpx.Response], status: int) -> httpx.Response:
    """The first answer with that status; whatever comes before must be one of the contract's refusals."""
    limit = time.monotonic() + PATIENCE_S
    while (answer := ask()).status_code != status:
        problem(answer, 503, "unavailable")
        assert time.monotonic() < limit, answer.text
        time.sleep(0.05)
    return answer


def test_one_line_says_where_the_page_is_once_it_can_answer() -> None:
    with server_process() as server, started({"NEXTTOKEN_INFERENCE_TARGET": server.target}) as gateway:
        assert gateway.process.stdout
        assert gateway.process.stdout.readline() == f"Next-Token Visualizer: {gateway.url}\n"
        assert httpx.post(f"{gateway.url}/api/next-token", json=HELLO, timeout=PATIENCE_S).status_code == 200
        assert gateway.stop() == 0
        assert gateway.process.stdout.read() == ""


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_it_ends_well(by: signal.Signals) -> None:
    with started() as gateway:
        httpx.get(f"{gateway.url}/healthz")
        assert gateway.stop(by) == 0
        assert "Traceback" not in gateway.log()


async def test_work_in_flight_is_finished_before_the_end() -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def script(request: Any, context: Any) -> pb.TopKResponse:
        asked.set()
        await go_on.wait()
        return pb.TopKResponse(model="m")

    async with scripted_server() as server:
        server.service.script = script
        with started({"NEXTTOKEN_INFERENCE_TARGET": server.target}) as gateway:
            async with httpx.AsyncClient(base_url=gateway.url, timeout=PATIENCE_S) as web:
                asking = asyncio.create_task(web.post("/api/next-token", json=HELLO))
                await asked.wait()
                gateway.process.send_signal(signal.SIGTERM)
                await until(lambda: refuses_connections(gateway.url))
                assert not asking.done()
                go_on.set()
                assert (await asking).json()["model"] == "m"
            assert await asyncio.to_thread(gateway.process.wait, PATIENCE_S) == 0


def refuses_connections(url: str) -> bool:
    port = int(url.rpartition(":")[2])
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return True
    return False


async def test_what_takes_too_long_at_a_stop_is_cut_off() -> None:
    asked = asyncio.Event()

    async def script(request: Any, context: Any) -> None:
        asked.set()
        await asyncio.Event().wait()

    async with scripted_server() as server:
        server.service.script = script
        env = {"NEXTTOKEN_INFERENCE_TARGET": server.target, "NEXTTOKEN_GRACE_S": "0"}
        with started(env) as gateway:
            async with httpx.AsyncClient(base_url=gateway.url, timeout=PATIENCE_S) as web:
                asking = asyncio.create_task(web.post("/api/next-token", json=HELLO))
                await asked.wait()
                gateway.process.send_signal(signal.SIGTERM)
                assert "stopping" in problem(await asking, 503, "unavailable")
            assert await asyncio.to_thread(gateway.process.wait, PATIENCE_S) == 0


def test_a_port_that_is_taken() -> None:
    with taken_port() as port, started({"NEXTTOKEN_PORT": str(port)}) as gateway:
        assert gateway.process.wait(PATIENCE_S) == 1
        assert gateway.url == ""
        assert f"can't listen on 127.0.0.1 port {port}: Address already in use; set NEXTTOKEN_HOST" in gateway.log()
        assert "Traceback" not in gateway.log()


@pytest.mark.parametrize(
    ("name", "value"),
    [("PORT", "http"), ("PORT", "70000"), ("TIMEOUT_S", "0"), ("MAX_BODY_BYTES", "1k"), ("GRACE_S", "-1")],
)
def test_a_setting_that_does_not_fit(name: str, value: str) -> None:
    with started({f"NEXTTOKEN_{name}": value}) as gateway:
        assert gateway.process.wait(PATIENCE_S) == 1
        assert f"cannot start: NEXTTOKEN_{name}={value!r}: " in gateway.log()
        assert "Traceback" not in gateway.log()


def test_it_runs_where_no_model_could_and_stays_small() -> None:
    with started(command=[sys.executable, "-c", WITHOUT_HEAVY_PACKAGES]) as gateway:
        assert gateway.url, gateway.log()
        for path in ("/", "/api/openapi.json", "/metrics"):
            assert httpx.get(gateway.url + path).status_code == 200
        problem(httpx.post(f"{gateway.url}/api/next-token", json=HELLO), 503, "unavailable")
        assert psutil.Process(gateway.process.pid).memory_info().rss <= 120e6


def test_logs_are_json_when_asked() -> None:
    with started({"NEXTTOKEN_LOG_FORMAT": "json"}) as gateway:
        httpx.get(gateway.url, headers={"x-request-id": "one"})
        assert gateway.stop() == 0
        _, line = [json.loads(line) for line in gateway.log().splitlines()]
        assert (line["event"], line["service"], line["request_id"], line["status"]) == (
            "request",
            "web_gateway",
            "one",
            200,
        )


def test_the_server_comes_dies_and_returns() -> None:
    port = str(free_port())
    with started({"NEXTTOKEN_INFERENCE_TARGET": f"127.0.0.1:{port}"}) as gateway:

        def ask() -> httpx.Response:
            return httpx.post(f"{gateway.url}/api/next-token", json=HELLO, timeout=PATIENCE_S)

        problem(ask(), 503, "unavailable")
        for _ in range(2):
            with server_process({"NEXTTOKEN_GRPC_PORT": port}) as server:
                answer = eventually(ask, 200).json()
                assert len(answer["candidates"]) == 3
                assert eventually(lambda: httpx.get(f"{gateway.url}/readyz"), 200).json() == {"status": "ready"}
                server.process.send_signal(signal.SIGKILL)
                server.end()
                eventually(ask, 503)
            assert httpx.get(gateway.url).status_code == 200


async def test_a_gateway_that_dies_lets_go_of_the_server() -> None:
    chosen = inference.Settings(model="bundled", grpc_port=0, drain_s=0, grace_s=PATIENCE_S)
    engine = fakes.FakeEngine(gate=asyncio.Event())
    async with server_here(chosen, fakes.fetch, lambda name, folder: engine) as server:
        target = f"127.0.0.1:{server.port}"
        async with connect(target) as stub:
            await ready(stub, "bundled")
        with (
            structlog.testing.capture_logs() as logged,
            started({"NEXTTOKEN_INFERENCE_TARGET": target}) as gateway,
        ):
            async with httpx.AsyncClient(base_url=gateway.url, timeout=PATIENCE_S) as web:
                asking = asyncio.create_task(web.post("/api/next-token", json=HELLO))
                await until(lambda: bool(engine.queries))
                gateway.process.kill()
                with pytest.raises(httpx.HTTPError):
                    await asking
            await until(lambda: ("TopK", "CANCELLED") in [(entry.get("rpc"), entry.get("code")) for entry in logged])
        assert engine.finished == 0
        engine.gate = None
        with started({"NEXTTOKEN_INFERENCE_TARGET": target}) as gateway:
            answer = await asyncio.to_thread(httpx.post, f"{gateway.url}/api/next-token", json=HELLO)
            assert answer.status_code == 200


async def test_several_servers_share_the_work_and_cover_for_each_other() -> None:
    engines = [fakes.FakeEngine() for _ in range(2)]
    chosen = inference.Settings(model="bundled", grpc_port=0, drain_s=0, grace_s=PATIENCE_S)
    async with contextlib.AsyncExitStack() as kept, contextlib.AsyncExitStack() as leaving:
        first = await kept.enter_async_context(server_here(chosen, fakes.fetch, lambda name, folder: engines[0]))
        second = await leaving.enter_async_context(server_here(chosen, fakes.fetch, lambda name, folder: engines[1]))
        for server in (first, second):
            async with connect(f"127.0.0.1:{server.port}") as stub:
                await ready(stub, "bundled")
        target = f"ipv4:127.0.0.1:{first.port},127.0.0.1:{second.port}"
        gateway = await kept.enter_async_context(gateway_here(target))

        async def ask() -> int:
            return int((await gateway.web.post("/api/next-token", json={"text": "a"})).status_code)

        async with asyncio.timeout(PATIENCE_S):
            while not all(engine.finished for engine in engines):
                assert await ask() == 200
        await leaving.aclose()
        served = engines[0].finished
        assert [await ask() for _ in range(10)] == [200] * 10
        assert engines[0].finished == served + 10


async def test_a_server_that_is_not_ready_gets_no_share() -> None:
    chosen = inference.Settings(model="bundled", grpc_port=0, drain_s=0, grace_s=PATIENCE_S)
    go_on = threading.Event()

    def load(name: str, folder: object) -> fakes.FakeEngine:
        assert go_on.wait(PATIENCE_S)
        return fakes.FakeEngine()

    async with (
        server_here(chosen, fakes.fetch, load) as server,
        gateway_here(f"dns:///127.0.0.1:{server.port}") as gateway,
    ):
        problem(await gateway.web.get("/readyz"), 503, "unavailable")
        problem(await gateway.web.post("/api/next-token", json=HELLO), 503, "unavailable")
        go_on.set()
        async with asyncio.timeout(PATIENCE_S):
            while (await gateway.web.post("/api/next-token", json=HELLO)).status_code != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert (await gateway.web.get("/readyz")).status_code == 200
