"""Inference servers for tests: in this process on a free port, or as the real command in a process of its own."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
import warm_python
from nexttoken.v1 import next_token_pb2 as pb
from nexttoken.v1 import next_token_pb2_grpc as pb_grpc
from warm_python import WarmProcess

from inference_server.models.registry import Fetch, Load
from inference_server.server import InferenceServer, assemble, fetch_model
from inference_server.settings import Settings

ROOT = Path(__file__).parents[2]
PATIENCE_S = 120.0  # bounds a wait for something that must happen; no test depends on its value
COMPILING_S = 300.0  # the same for the first start of a large model, which compiles its kernels


class ServerProcess:
    """`python -m inference_server` and what it logs, line by line as it appears."""

    def __init__(
        self,
        env: Mapping[str, str],
        command: Sequence[str] = ("-m", "inference_server"),
        through: Sequence[str] = (),
        cold: bool = False,
    ) -> None:
        """`through`: a program that runs the command somewhere else; `cold`: with imports of its own."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("NEXTTOKEN_", "HF_"))}
        chosen = {"NEXTTOKEN_MODEL": "bundled", "NEXTTOKEN_GRPC_PORT": "0", "NEXTTOKEN_LOG_FORMAT": "json"}
        self.log: list[str] = []
        self._changed = threading.Condition()
        self._over = False
        whole = {**inherited, "OMP_NUM_THREADS": "1", **chosen, **env}
        self.process: subprocess.Popen[str] | WarmProcess
        if cold or through or not warm_python.possible(env):
            run = [*through, sys.executable, *command]
            self.process = subprocess.Popen(run, cwd=ROOT, env=whole, stderr=subprocess.PIPE, text=True)
        else:
            self.process = WarmProcess(command, whole, stderr=subprocess.PIPE)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, event: str, patience_s: float = PATIENCE_S, **fields: Any) -> dict[str, Any]:
        """The first log line with that event and those fields; fails, showing the log, if the process ends first."""
        with self._changed:
            while True:
                for line in self.log:
                    with contextlib.suppress(ValueError):
                        entry = json.loads(line)
                        if entry.get("event") == event and fields.items() <= entry.items():
                            return dict(entry)
                assert not self._over, f"the server ended without {event!r}:\n" + "\n".join(self.log)
                assert self._changed.wait(patience_s), f"no {event!r} yet:\n" + "\n".join(self.log)

    @property
    def target(self) -> str:
        """Where it listens, once it does."""
        return f"127.0.0.1:{self.wait_for('listening')['port']}"

    def end(self) -> int:
        """Waits for the process to end by itself; its exit status."""
        status = self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        return status

    def close(self) -> None:
        """Ends the process, the hard way if need be."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join(PATIENCE_S)
        if self.process.stderr:
            self.process.stderr.close()

    def _read(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            with self._changed:
                self.log.append(line.rstrip())
                self._changed.notify_all()
        with self._changed:
            self._over = True
            self._changed.notify_all()


@contextlib.contextmanager
def server_process(env: Mapping[str, str] | None = None, cold: bool = False) -> Iterator[ServerProcess]:
    """A server in a process of its own, ended at exit; see ServerProcess.target."""
    server = ServerProcess(env or {}, cold=cold)
    try:
        yield server
    finally:
        server.close()


@contextlib.contextmanager
def run_inference_server(env: Mapping[str, str] | None = None) -> Iterator[str]:
    """The target of a server in a process of its own whose bundled model is ready."""
    with server_process(env) as server:
        server.wait_for("model ready", model="bundled")
        yield server.target


@contextlib.asynccontextmanager
async def server_here(
    settings: Settings, fetch: Fetch = fetch_model, load: Load | None = None
) -> AsyncIterator[InferenceServer]:
    """A server on this event loop, on a free port, with no drain."""
    server = assemble(settings, fetch, load)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
        await asyncio.to_thread(server.registry.join, PATIENCE_S)


@contextlib.asynccontextmanager
async def connect(target: str) -> AsyncIterator[Any]:
    """A client of a server."""
    async with grpc.aio.insecure_channel(target) as channel:
        yield stub_of(channel)


def stub_of(channel: grpc.aio.Channel) -> Any:
    """The calls of the contract on a channel."""
    return pb_grpc.NextTokenServiceStub(channel)  # type: ignore[no-untyped-call]


async def ready(stub: Any, name: str, state: int = pb.MODEL_STATE_READY) -> pb.Model:
    """Waits until a model is in a state; fails if it goes to FAILED instead."""
    async for list_ in stub.WatchModels(pb.WatchModelsRequest(), timeout=PATIENCE_S):
        model: pb.Model = next(model for model in list_.models if model.name == name)
        if model.state == state:
            return model
        assert model.state != pb.MODEL_STATE_FAILED, model.reason
    raise AssertionError("the watch ended")
