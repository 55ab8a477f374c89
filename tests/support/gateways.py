"""Gateways for tests: on this event loop over a real socket, or as the real command in a process of its own."""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import httpx
import warm_python
from nexttoken.v1 import next_token_pb2_grpc as pb_grpc
from servers import PATIENCE_S
from starlette.applications import Starlette
from warm_python import WarmProcess

from web_gateway.app import create_app
from web_gateway.http.protocol import Clocks
from web_gateway.http.server import Server, listen, url
from web_gateway.settings import Settings

ROOT = Path(__file__).parents[2]
SERVING = re.compile(r"(?<=\"url\": \")http://[^\"]+|(?<=url=)http://\S+")
NOWHERE = "127.0.0.1:1"  # a port where nothing listens
BODY_LIMIT = 1000  # bytes, of a gateway that is made to read short bodies
HELLO = b'{"text": "hi"}'
POST = b"POST /api/next-token HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"


@contextlib.asynccontextmanager
async def gateway_here(
    target: str, app: Starlette | None = None, clocks: Clocks | None = None, **settings: Any
) -> AsyncIterator[Any]:
    """A gateway on this event loop and a browser of sorts: `.web` asks, `.port` and `.app` are what it asks."""
    chosen = Settings(port=0, inference_target=target, **settings)
    app = app or create_app(chosen)
    bound = listen(chosen)
    server = Server(app, chosen, clocks)
    serving = asyncio.create_task(server.serve([bound]))
    await until(lambda: server.started or serving.done())
    try:
        async with httpx.AsyncClient(base_url=url(bound), timeout=PATIENCE_S) as web:
            yield SimpleNamespace(web=web, app=app, port=bound.getsockname()[1], server=server, serving=serving)
    finally:
        server.should_exit = True
        await serving


class ScriptedService(pb_grpc.NextTokenServiceServicer):
    """The contract's calls as a test wants them: each awaits `script`, with what was asked and the call's context.

    A watch and other streams give what `watch` yields.
    """

    def __init__(self) -> None:
        self.script: Callable[[Any, Any], Any] = refuse_all
        self.watch: Callable[[Any, Any], AsyncIterator[Any]] = refuse_watch

    async def TopK(self, request: Any, context: Any) -> Any:
        return await self.script(request, context)

    async def Score(self, request: Any, context: Any) -> Any:
        return await self.script(request, context)

    async def Generate(self, request: Any, context: Any) -> AsyncIterator[Any]:
        async for event in self.watch(request, context):
            yield event

    async def ListModels(self, request: Any, context: Any) -> Any:
        return await self.script(request, context)

    async def WatchModels(self, request: Any, context: Any) -> AsyncIterator[Any]:
        async for models in self.watch(request, context):
            yield models


async def refuse_all(request: Any, context: Any) -> None:
    await context.abort(grpc.StatusCode.UNIMPLEMENTED, "no script")


async def refuse_watch(request: Any, context: Any) -> AsyncIterator[Any]:
    await refuse_all(request, context)
    yield


@contextlib.asynccontextmanager
async def scripted_server() -> AsyncIterator[Any]:
    """A gRPC server on this loop that does what `.service.script` says; it has no health service."""
    server = grpc.aio.server()
    service = ScriptedService()
    pb_grpc.add_NextTokenServiceServicer_to_server(service, server)  # type: ignore[no-untyped-call]  # generated
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield SimpleNamespace(service=service, target=f"127.0.0.1:{port}")
    finally:
        await server.stop(None)


class GatewayProcess:
    """`python -m web_gateway`; `url` is where it logged that it serves, empty where it ended instead."""

    def __init__(
        self,
        env: Mapping[str, str],
        command: list[str] | None = None,
        through: Sequence[str] = (),
        cold: bool = False,
    ) -> None:
        """`cold`: with imports of its own."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("NEXTTOKEN_")}
        chosen = {
            "OMP_NUM_THREADS": "1",
            "NEXTTOKEN_PORT": "0",
            "NEXTTOKEN_LOG_FORMAT": "json",
            "NEXTTOKEN_INFERENCE_TARGET": NOWHERE,
        }
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115  # closed in close()
        whole = {**inherited, **chosen, **env}
        self.process: subprocess.Popen[str] | WarmProcess
        if cold or command or through or not warm_python.possible(env):
            run = [*through, *(command or [sys.executable, "-m", "web_gateway"])]
            self.process = subprocess.Popen(
                run, cwd=ROOT, env=whole, stdout=subprocess.PIPE, stderr=self._log, text=True
            )
        else:
            self.process = WarmProcess(("-m", "web_gateway"), whole, stdout=subprocess.PIPE, stderr=self._log)
        self.url = self._served()

    def _served(self) -> str:
        limit = time.monotonic() + PATIENCE_S
        while self.process.poll() is None and time.monotonic() < limit:
            if found := SERVING.search(self.log()):
                return found.group()
            time.sleep(0.02)
        return ""

    def log(self) -> str:
        """What it logged so far."""
        self._log.seek(0)
        return self._log.read()

    def stop(self, by: signal.Signals = signal.SIGTERM) -> int:
        """Asks it to stop; its exit status."""
        self.process.send_signal(by)
        return self.process.wait(PATIENCE_S)

    def close(self) -> None:
        """Ends it, the hard way if need be."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        assert self.process.stdout
        self.process.stdout.close()
        self._log.close()


@contextlib.contextmanager
def gateway_process(
    env: Mapping[str, str] | None = None, command: list[str] | None = None, cold: bool = False
) -> Iterator[GatewayProcess]:
    """A gateway in a process of its own, ended at exit."""
    gateway = GatewayProcess(env or {}, command, cold=cold)
    try:
        yield gateway
    finally:
        gateway.close()


@contextlib.contextmanager
def run_gateway(target: str, env: Mapping[str, str] | None = None) -> Iterator[str]:
    """The address of a gateway in a process of its own that serves the page and asks `target`."""
    with gateway_process({"NEXTTOKEN_INFERENCE_TARGET": target, **(env or {})}) as gateway:
        assert gateway.url, gateway.log()
        yield gateway.url


async def until(holds: Callable[[], bool]) -> None:
    """Waits for something that must happen and that no event tells of."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def problem(answer: httpx.Response, status: int, code: str, field: str | None = None) -> str:
    """Asserts the one shape of every failure, and that it is safe to show; its words."""
    body = answer.json()
    assert (answer.status_code, body.get("code"), body.get("field")) == (status, code, field), body
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert set(body) <= {"error", "code", "field"}
    words: str = body["error"]
    assert 10 < len(words) < 600
    assert not [leak for leak in ("Traceback", "grpc", "AioRpc", "0x", ".py", "Errno") if leak in words], words
    return words


def sample(text: str, name: str, **labels: str) -> float:
    """One number of the metrics, 0 where there is none yet."""
    for line in text.splitlines():
        found = re.fullmatch(rf"{name}(?:\{{(?P<labels>.*)\}})? (?P<value>\S+)", line)
        if found and dict(re.findall(r'(\w+)="([^"]*)"', found["labels"] or "")) == labels:
            return float(found["value"])
    return 0.0
