"""Two hosts on this machine: network namespaces that share nothing but a cable, made and removed by whoever asks."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

ASK = """
import json, sys, urllib.error, urllib.request
url, body, seconds = sys.argv[1:]
request = urllib.request.Request(url, body.encode() or None, {"content-type": "application/json"})
try:
    answer = urllib.request.urlopen(request, timeout=float(seconds))
except urllib.error.HTTPError as error:
    answer = error
print(json.dumps([answer.status, json.loads(answer.read())]))
"""


@dataclass(frozen=True)
class Host:
    """A namespace, its end of the cable and its address there."""

    name: str
    address: str
    cable: str

    @property
    def through(self) -> list[str]:
        """What a command begins with to run there."""
        return ["ip", "netns", "exec", self.name]

    def ip(self, *command: str) -> None:
        """Changes its network."""
        ip("-n", self.name, *command)

    def unplug(self) -> None:
        """Takes the cable out; nobody is told."""
        self.ip("link", "set", self.cable, "down")

    def plug(self) -> None:
        """Puts it back."""
        self.ip("link", "set", self.cable, "up")

    def ask(self, url: str, body: dict[str, Any] | None = None, within_s: float = 60) -> tuple[int, dict[str, Any]]:
        """Asks over HTTP from there; status and JSON."""
        command = [*self.through, sys.executable, "-c", ASK, url, json.dumps(body) if body else "", str(within_s)]
        status, content = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        return status, content


@contextlib.contextmanager
def two_hosts() -> Iterator[tuple[Host, Host]]:
    """Both, joined. Fails where the machine can't have them; it is no matter of taste whether this runs."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.fail("network namespaces need root and the program ip (Debian: iproute2)")
    mark = f"{os.getpid() % 100_000}"
    first, second = (Host(f"nextton-{mark}-{n}", f"10.231.7.{n}", f"nt{n}-{mark}") for n in (1, 2))
    with contextlib.ExitStack() as made:
        for host in (first, second):
            ip("netns", "add", host.name)
            made.callback(ip, "netns", "del", host.name)
        ip("link", "add", first.cable, "netns", first.name, "type", "veth", "peer", second.cable, "netns", second.name)
        for host in (first, second):
            host.ip("address", "add", f"{host.address}/24", "dev", host.cable)
            host.ip("link", "set", "lo", "up")
            host.plug()
        yield first, second


def ip(*command: str) -> None:
    """Runs ip, which says on standard error what it could not do."""
    subprocess.run(["ip", *command], check=True)
