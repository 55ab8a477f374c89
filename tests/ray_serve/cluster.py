"""A Ray cluster for tests, in processes of its own, and what its replicas log; `make e2e-ray` installs Ray."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from ports import free_port
from servers import PATIENCE_S, ROOT

PYTHON = Path(os.environ.get("RAY_ENVIRONMENT", ROOT / "build" / "ray")) / "bin" / "python"
APPLICATION = "nexttoken"
SETTINGS = {"model": "bundled", "cache_mb": 256, "lookahead": 0}
SMALL = {"ray_actor_options": {"num_cpus": 0.5}, "health_check_period_s": 1}
SESSIONS = 24


class RayCluster:
    """The driver's methods by name, the replicas' processes and their log."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.grpc_port, self._http_port, self.metrics_port, self.second_port, self._spare = (
            free_port() for _ in range(5)
        )
        path = os.pathsep.join(str(ROOT / part) for part in (".", "proto"))
        env = {key: value for key, value in os.environ.items() if not key.startswith(("NEXTTOKEN_", "HF_", "RAY_"))}
        ours = {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "RAY_TMPDIR": str(folder)}
        ours |= {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0", **exported()}
        (folder / "ray").mkdir()
        with (folder / "driver.log").open("wb") as log:
            self._driver = subprocess.Popen(
                [PYTHON, Path(__file__).parent / "driver.py", *self._ports()],
                cwd=ROOT,
                env={**env, **ours},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        try:
            self._answer()
        except AssertionError:
            self.close()
            raise

    def ask(self, name: str, *arguments: Any) -> Any:
        """What the driver's method gives."""
        assert self._driver.stdin
        self._driver.stdin.write(json.dumps([name, *arguments]) + "\n")
        self._driver.stdin.flush()
        return self._answer()

    def deploy(self, arguments: dict[str, Any], **options: Any) -> list[str]:
        """Deploys a version; its replicas."""
        found: list[str] = self.ask("deploy", arguments, options)
        return found

    def add_node(self) -> None:
        """A second node with a proxy at `second_port`."""
        self.ask("add_node", self.second_port, self._spare)

    def processes(self) -> list[psutil.Process]:
        """The replicas'."""
        children = psutil.Process(self._driver.pid).children(recursive=True)
        return [child for child in children if "ServeReplica" in title(child)]

    def calls(self) -> Iterator[dict[str, Any]]:
        """What the replicas said of each call so far."""
        for path in (self.folder / "ray").glob("session_2*/logs/worker-*.err"):
            for line in path.read_text(errors="replace").splitlines():
                if '"event": "call"' in line:
                    yield json.loads(line)

    def said(self) -> str:
        """What the driver said, for a test that fails."""
        return (self.folder / "driver.log").read_text(errors="replace")[-3000:]

    def close(self) -> None:
        """Ends all processes, the hard way if need be."""
        started = psutil.Process(self._driver.pid).children(recursive=True)
        assert self._driver.stdin
        assert self._driver.stdout
        self._driver.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._driver.wait(30)
        for process in started:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._driver.kill()
        self._driver.wait()
        self._driver.stdout.close()

    def _ports(self) -> list[str]:
        return [str(port) for port in (self.grpc_port, self._http_port, self.metrics_port)]

    def _answer(self) -> Any:
        assert self._driver.stdout
        line = self._driver.stdout.readline()
        assert line, self.said()
        return json.loads(line)


def exported() -> dict[str, str]:
    """The variables of Ray Serve that docs/operations.md sets on every node."""
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^ +export (RAY_SERVE_\w+)=(\S+)", text, re.MULTILINE))


def title(process: psutil.Process) -> str:
    """The name Ray gave a process; empty if it has ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return " ".join(process.cmdline())
    return ""


@contextlib.contextmanager
def ray_cluster() -> Iterator[RayCluster]:
    """One node without an application."""
    cluster = started()
    try:
        yield cluster
    finally:
        cluster.close()
        shutil.rmtree(cluster.folder, ignore_errors=True)


def started(tries: int = 3) -> RayCluster:
    """A cluster that is up. On a busy machine, a node may end while it starts."""
    folder = Path(tempfile.mkdtemp(prefix="ntr", dir="/tmp"))  # a short name: Ray's sockets lie there
    try:
        return RayCluster(folder)
    except AssertionError:
        shutil.rmtree(folder, ignore_errors=True)
        if tries == 1:
            raise
        return started(tries - 1)


def until(holds: Any, patience_s: float = PATIENCE_S) -> None:
    """Waits for something that must happen."""
    limit = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < limit
        time.sleep(0.1)
