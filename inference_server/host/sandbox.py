"""A script in a process of its own, for somebody else's input: what goes wrong in it ends that process and no more.

The script has one function, `answer`, from a request to its answer, both of JSON. It imports nothing of this project.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from inference_server.host import sandbox_runner

RUNNER = sandbox_runner.__file__
WALL_S = 30.0  # for a process that neither computes nor answers, on a machine however busy


class Exhausted(Exception):
    """A request took more than it may; the message says what, as in `takes more than 2 s`."""


class Sandbox:
    """One process, started by the first request and again after one that ended it. One request at a time."""

    def __init__(self, script: Path, cpu_s: float, memory_bytes: int) -> None:
        """`cpu_s`: processor time of a request. `memory_bytes`: address space of the process."""
        self._script = script
        self._cpu_s = cpu_s
        self._memory_bytes = memory_bytes
        self._process: subprocess.Popen[str] | None = None
        self._end: Callable[[], object] = lambda: None
        self._lock = threading.Lock()

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The script's answer; blocks until then. Raises Exhausted."""
        with self._lock:
            return self._ask(json.dumps(request) + "\n")

    def close(self) -> None:
        """Ends the process; the next request starts another."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        self._process = None
        self._end()

    def _ask(self, request: str) -> dict[str, Any]:
        if self._process is not None and self._process.poll() is not None:  # ended by something else, between requests
            self._close()
        process: Any = self._process or self._start()
        watchdog = threading.Timer(WALL_S, process.kill)
        watchdog.start()
        try:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(request)
                process.stdin.flush()
            line = process.stdout.readline()
        finally:
            watchdog.cancel()
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        code = process.wait()
        self._close()
        if code in (-signal.SIGPROF, -signal.SIGKILL):
            raise Exhausted(f"takes more than {self._cpu_s:g} s")
        raise Exhausted(f"needs more than {self._memory_bytes >> 20} MiB of memory")

    def _start(self) -> Any:
        """Starts the process and waits until it is ready, so that starting counts for no request."""
        process: Any = subprocess.Popen(  # noqa: S603 - this interpreter, files of ours
            [sys.executable, "-I", RUNNER, str(self._script), str(self._cpu_s), str(self._memory_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            env={name: os.environ[name] for name in ("TZ",) if name in os.environ},
        )
        self._process = process
        self._end = weakref.finalize(self, end, process)
        if not process.stdout.readline():
            raise RuntimeError(f"{self._script.name} did not start: it ended with {process.wait()}")
        return process


def end(process: "subprocess.Popen[str]") -> None:
    """Ends a process and closes its pipes."""
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
