"""The two services as processes on free ports, for benchmarks: each may be held to one core."""

import asyncio
import contextlib
import functools
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import psutil
from ports import free_port

OFFLINE = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "1"}
PATIENCE_S = 180.0  # a first start compiles kernels


@dataclass(frozen=True)
class Stack:
    """Where the page and gRPC answer, where the inference server tells of itself, and the two processes behind it."""

    url: str
    target: str
    monitor: str
    inference: psutil.Process
    gateway: psutil.Process


async def wait_ready(session: aiohttp.ClientSession, url: str, model: str = "bundled") -> None:
    """Returns once a model answers; raises TimeoutError after PATIENCE_S."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.post(f"{url}/api/next-token", json={"text": "Once", "model": model}) as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def running(
    cores: tuple[int, int] | None = None, model: str = "bundled", **settings: str
) -> AsyncIterator[Stack]:
    """Both services, once the default model answers; `cores` holds (inference, gateway) to one core each."""
    grpc_port, port, monitor_port = free_port(), free_port(), free_port()
    environment = os.environ | {
        "NEXTTOKEN_MODEL": model,
        "NEXTTOKEN_GRPC_PORT": str(grpc_port),
        "NEXTTOKEN_METRICS_PORT": str(monitor_port),
        "NEXTTOKEN_PORT": str(port),
        "NEXTTOKEN_INFERENCE_TARGET": f"127.0.0.1:{grpc_port}",
        "NEXTTOKEN_LOG_LEVEL": "warning",
        **settings,
    }
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            package,
            env=environment,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL if "NEXTTOKEN_LOG_LEVEL" in settings else None,  # many lines
            preexec_fn=None if cores is None else functools.partial(os.sched_setaffinity, 0, {core}),
        )
        for package, core in zip(("inference_server", "web_gateway"), cores or (0, 0), strict=True)
    ]
    try:
        url = f"http://127.0.0.1:{port}"
        async with aiohttp.ClientSession() as session:
            await wait_ready(session, url, model)
        inference, gateway = (psutil.Process(process.pid) for process in processes)
        yield Stack(url, f"127.0.0.1:{grpc_port}", f"http://127.0.0.1:{monitor_port}", inference, gateway)
    finally:
        for process in processes:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
        for process in processes:
            await process.wait()


def resident_mb(process: psutil.Process) -> float:
    """Resident memory in MB."""
    return float(process.memory_info().rss) / 1e6


def percentile(values: list[float], share: float) -> float:
    """The value below which this share of the values lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
