"""Services as processes of their own that begin where their imports, which take longer than most tests, are done.

`python tests/support/warm_python.py FD` imports what the services do, once, and forks a process for each order that it
reads from the socket FD. Such a process goes on as a new `python -m PACKAGE` or `python PATH` would: with its own
environment, output, signals and exit status.
"""

import atexit
import gc
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).parents[2]
OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_ENDPOINT": "http://127.0.0.1:9"}
ORDER_BYTES = 1 << 17
IMPORTS = ("inference_server.models.hub", "transformers.models.llama.modeling_llama", "web_gateway.app")


def possible(settings: Mapping[str, str]) -> bool:
    """Whether a forked process can have these settings. Libraries read theirs while they are imported.

    Elsewhere than on Linux, libraries of the system do not survive a fork.
    """
    of_libraries = {key: value for key, value in settings.items() if not key.startswith("NEXTTOKEN_")}
    return sys.platform == "linux" and of_libraries in ({}, OFFLINE)


class WarmProcess:
    """Such a process, used as subprocess.Popen is; each output goes to a file, or is PIPE, or this process's own."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], stderr: Any, stdout: Any = None) -> None:
        self.args = command
        self.returncode: int | None = None
        self.stdout, out = _opened(stdout, 1)
        self.stderr, err = _opened(stderr, 2)
        self._status, status = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with status:
            order = json.dumps([*command, dict(env)]).encode()
            socket.send_fds(_importer(env), [order], [out, err, status.fileno()])
        os.close(out)
        os.close(err)
        self.pid = int(self._status.recv(32))

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            self._status.settimeout(timeout)
            try:
                self.returncode = int(self._status.recv(32))
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired(self.args, timeout or 0) from None
            self._status.close()
        return self.returncode

    def poll(self) -> int | None:
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _opened(output: Any, own: int) -> tuple[IO[str] | None, int]:
    """What this process reads, where it asked for a pipe, and a descriptor that the other one is to have."""
    if output == subprocess.PIPE:
        reading, writing = os.pipe()
        return open(reading, encoding="utf-8"), writing
    return None, os.dup(own if output is None else output.fileno())


def _importer(environment: Mapping[str, str]) -> socket.socket:
    """Where orders go: to a process with the same environment, as far as it is read while importing."""
    own = ("NEXTTOKEN_", "PYTEST_")
    return _started(*sorted(item for item in environment.items() if not item[0].startswith(own)))


@cache
def _started(*environment: tuple[str, str]) -> socket.socket:
    orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, __file__, str(theirs.fileno())]
    with theirs:
        process = subprocess.Popen(
            command, env=dict(environment), pass_fds=[theirs.fileno()], cwd=ROOT, stdin=subprocess.DEVNULL
        )
    atexit.register(process.wait)
    atexit.register(orders.close)  # before: it ends with its orders
    return orders


def _import() -> None:
    """What the services import; nothing here may start a thread or compute."""
    import_module("inference_server.host.openmp").prepare(os.environ)
    import_module("inference_server.server").computing()
    for name in IMPORTS:
        import_module(name)
    gc.collect()
    gc.freeze()


def _forked(orders: socket.socket) -> list[Any]:
    """An order, in a process of its own for each; the parent of that process passes on how it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        order, files, _, _ = socket.recv_fds(orders, ORDER_BYTES, 3)
        if not order:
            os._exit(0)
        assert len(os.listdir("/proc/self/task")) == 1, "a fork has no more than one of the threads"
        if os.fork() == 0:
            break
        for file in files:
            os.close(file)
    orders.close()
    *output, status = files
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with socket.socket(fileno=status) as told:
        if pid := os.fork():
            for file in output:
                os.close(file)
            told.send(b"%d" % pid)
            told.send(b"%d" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
            os._exit(0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for file, place in zip(output, (1, 2), strict=True):
        os.dup2(file, place)
        os.close(file)
    return list(json.loads(order))


def _run(command: Sequence[str], environment: Mapping[str, str]) -> None:
    """As Python runs a command from its start."""
    os.environ.clear()
    os.environ.update(environment)
    if command[0] == "-m":
        runpy.run_module(command[1], run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = str(Path(command[0]).parent)
        runpy.run_path(command[0], run_name="__main__")


if __name__ == "__main__":
    sys.path[0] = str(ROOT)
    _import()
    *command, environment = _forked(socket.socket(fileno=int(sys.argv[1])))
    _run(command, environment)
