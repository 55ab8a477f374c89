"""The two services as processes of this one."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPException

STOP_S = 30.0  # both services finish within their grace periods, then they are killed
POLL_S = 0.2
PORTS = range(20_000, 32_768)  # below those that a connection or another program may be given by the system meanwhile


def start(module: str, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """`python -m module` in this terminal, in a process group of its own: a Ctrl-C reaches this process alone."""
    return subprocess.Popen(  # noqa: S603 - our own
        [sys.executable, "-m", module], env={**os.environ, **environment}, start_new_session=True
    )


def stop(processes: list[subprocess.Popen[bytes]]) -> None:
    """Stops them in order: SIGTERM, then SIGKILL for one that takes too long."""
    for process in processes:
        if process.poll() is None:
            process.terminate()
    until = time.monotonic() + STOP_S
    for process in processes:
        try:
            process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def supervise(processes: list[subprocess.Popen[bytes]]) -> int:
    """Waits until one ends or a signal asks for a stop, then stops the others.

    Returns 0 after a signal, else what the first one to end returned.
    """
    asked = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: asked.set())
    while not asked.wait(POLL_S):
        for process in processes:
            if (code := process.poll()) is not None:
                stop(processes)
                return code or 1
    stop(processes)
    return 0


def when_answering(url: str, act: Callable[[], object]) -> None:
    """Acts, on a thread, once the URL answers 200; never if this process ends before."""

    def wait() -> None:
        while True:
            try:
                with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - http
                    break
            except (OSError, HTTPException):  # the second also where the port is none
                time.sleep(POLL_S)
        act()

    threading.Thread(target=wait, daemon=True).start()


def free_port() -> str:
    """A port of this machine that nothing listens on."""
    while True:
        port = secrets.choice(PORTS)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return str(port)


@contextmanager
def private_server(environment: Mapping[str, str]) -> Iterator[str]:
    """The target of an inference server of one's own on a free port; it ends with the block."""
    port = free_port()
    chosen = {
        "NEXTTOKEN_GRPC_HOST": "127.0.0.1",
        "NEXTTOKEN_GRPC_PORT": port,
        "NEXTTOKEN_LOG_LEVEL": "error",
        "NEXTTOKEN_LOOKAHEAD": "0",
        "NEXTTOKEN_DRAIN_S": "0",
    }
    server = start("inference_server", {**chosen, **environment})
    try:
        yield f"127.0.0.1:{port}"
    finally:
        stop([server])
