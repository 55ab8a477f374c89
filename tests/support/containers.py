"""Both services as containers on a real engine, brought up with Compose on free ports and always taken down."""

import contextlib
import json
import os
import subprocess
import time
import urllib.request
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ports import free_port
from servers import ROOT

PATIENCE_S = 120.0  # bounds a wait for something that must happen; no test depends on its value
SERVER, GATEWAY = "inference_server", "gateway"
GRPC_PORT = 50051
PROBES_PORT = 9464


def docker(*arguments: str, check: bool = True, timeout_s: float = PATIENCE_S) -> str:
    """What a docker command prints on both its outputs; fails, showing that, where its status is not 0."""
    done = subprocess.run(
        ["docker", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0 or not check, f"docker {' '.join(arguments)}: {done.returncode}\n{done.stdout}"
    return done.stdout


@dataclass(frozen=True)
class Container:
    """One container of a stack; what it is now is asked each time."""

    id: str

    def inspect(self) -> dict[str, Any]:
        """What the engine knows of it."""
        return dict(json.loads(docker("inspect", self.id))[0])

    @property
    def name(self) -> str:
        return str(self.inspect()["Name"]).lstrip("/")

    @property
    def pid(self) -> int:
        """Its first process, as this machine counts; 0 where it has ended."""
        return int(self.inspect()["State"]["Pid"])

    @property
    def address(self) -> str:
        """Where it listens in its network, which this machine reaches too; empty while it has none."""
        networks = self.inspect()["NetworkSettings"]["Networks"].values()
        return next((str(network["IPAddress"]) for network in networks), "")

    def text(self) -> str:
        """All it wrote, at every start of it."""
        return docker("logs", self.id)

    def log(self) -> list[dict[str, Any]]:
        """Its log's JSON lines."""
        entries = []
        for line in self.text().splitlines():
            with contextlib.suppress(ValueError):
                if isinstance(entry := json.loads(line), dict):
                    entries.append(entry)
        return entries

    def run(self, *command: str) -> str:
        """What a command inside it prints."""
        return docker("exec", self.id, *command)

    def serves(self) -> bool:
        """Whether an inference server's probe says ready."""
        if not (address := self.address):
            return False
        try:
            with urllib.request.urlopen(f"http://{address}:{PROBES_PORT}/readyz", timeout=2):
                return True
        except OSError:
            return False


class Stack:
    """A Compose project of its own. `variables` are those of docker-compose.yml and its overrides."""

    def __init__(self, *overrides: str, **variables: str) -> None:
        self.project = f"nexttoken-{uuid.uuid4().hex[:8]}"
        self.page_port, self.grpc_port = free_port(), free_port()
        self.files = ("docker-compose.yml", *overrides)
        self.variables = {
            "NEXTTOKEN_MODEL": "bundled",
            "HF_HUB_OFFLINE": "1",
            "PAGE_ADDRESS": "127.0.0.1",
            "PAGE_PORT": str(self.page_port),
            "GRPC_PORT": str(self.grpc_port),
            **variables,
        }
        self.url = f"http://127.0.0.1:{self.page_port}"

    def compose(self, *arguments: str, check: bool = True, timeout_s: float = PATIENCE_S) -> str:
        """What a Compose command prints on both its outputs."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("NEXTTOKEN_", "HF_"))}
        files = [part for file in self.files for part in ("--file", file)]
        done = subprocess.run(
            ["docker", "compose", "--project-name", self.project, *files, *arguments],
            cwd=ROOT,
            env={**inherited, **self.variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert done.returncode == 0 or not check, f"compose {' '.join(arguments)}: {done.returncode}\n{done.stdout}"
        return done.stdout

    def containers(self, service: str = SERVER) -> list[Container]:
        """Those of a service, running or not, in the order of their numbers."""
        found = [Container(id_) for id_ in self.compose("ps", "--all", "--quiet", service).split()]
        return sorted(found, key=lambda container: int(container.name.rpartition("-")[2]))

    def serving(self, service: str = SERVER) -> list[Container]:
        """The containers of the service, once all of them say SERVING."""
        containers = self.containers(service)
        until(lambda: all(container.serves() for container in containers), self.logs)
        return containers

    def logs(self) -> str:
        """Everything all containers wrote."""
        return self.compose("logs", "--no-color", check=False)

    def down(self) -> None:
        """Takes everything away, volumes too."""
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "1", check=False)


@contextlib.contextmanager
def running(*overrides: str, up: Sequence[str] = (), **variables: str) -> Iterator[Stack]:
    """A stack of the built images whose inference servers answer."""
    stack = Stack(*overrides, **variables)
    try:
        stack.compose("up", "--detach", "--no-build", *up)
        stack.serving()
        yield stack
    finally:
        stack.down()


def build() -> None:
    """Builds both images as docker-compose.yml says, and that of the Space."""
    Stack().compose("build", "--quiet", timeout_s=1800)
    docker("buildx", "bake", "--file", "docker-bake.hcl", "space", timeout_s=1800)


def image_mb() -> dict[str, float]:
    """What each service's image adds to its base, and the base, in MB."""
    base = int(docker("image", "inspect", "--format", "{{.Size}}", "python:3.11-slim-bookworm"))
    added = {"base": base / 1e6}
    for name in ("gateway", "inference-server"):
        size = int(docker("image", "inspect", "--format", "{{.Size}}", f"next-token/{name}:local"))
        added[name] = (size - base) / 1e6
    return added


def until(holds: Any, explain: Any = lambda: "", patience_s: float = PATIENCE_S) -> None:
    """Waits for something that must happen and that no event tells of."""
    limit = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < limit, f"it never happened\n{explain()}"
        time.sleep(0.1)
