"""Floods of both services, one client's each: `python -m attack.floods NAME HTTP_PORT GRPC_PORT SECONDS`.

Each runs in a process of its own, so that it takes no time from the bystander who is watched meanwhile.
"""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

from attack import grpc_floods, http_floods
from attack.raw import PATIENCE_S
from attack.tiers import Address, Tiers

Flood = Callable[[Address], Iterator[None]]
"""Attacks an address, a burst between one yield and the next."""

BURST_S = 0.01  # between bursts: one attacker's line, not the whole machine


def named(*floods: Flood) -> dict[str, Flood]:
    return {flood.__name__: flood for flood in floods}


AT_GATEWAY = named(
    http_floods.trailers,
    http_floods.heads,
    http_floods.chunks,
    http_floods.half_bodies,
    http_floods.half_heads,
    http_floods.event_streams,
    http_floods.unread,
    http_floods.fresh_sessions,
    http_floods.long_texts,
    http_floods.deep_json,
)
AT_INFERENCE = named(
    grpc_floods.calls_at_once,
    grpc_floods.rapid_reset,
    grpc_floods.open_streams,
    grpc_floods.closed_windows,
    grpc_floods.continuations,
    grpc_floods.empty_continuations,
    grpc_floods.pings,
    grpc_floods.settings,
)
FLOODS = AT_GATEWAY | AT_INFERENCE


@contextlib.contextmanager
def flooding(name: str, tiers: Tiers, seconds: float) -> Iterator[None]:
    """A flood from a process of its own; within it, the test watches the others until the flood has ended."""
    command = [
        sys.executable,
        "-m",
        "attack.floods",
        name,
        str(tiers.http[1]),
        str(tiers.grpc[1]),
        str(seconds),
    ]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    attacker = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        yield
        told, _ = attacker.communicate(timeout=PATIENCE_S + seconds)
        assert attacker.returncode == 0
        assert int(told) > 0, "the flood got nowhere"
    finally:
        attacker.kill()
        attacker.wait()


def main(name: str, http_port: str, grpc_port: str, seconds: str) -> None:
    """Floods for that long, and prints how many bursts there were."""
    until = time.monotonic() + float(seconds)
    port = int(http_port if name in AT_GATEWAY else grpc_port)
    bursts = 0
    while time.monotonic() < until:
        with contextlib.suppress(OSError):  # shut out: it comes back
            for _ in FLOODS[name](("127.0.0.1", port)):
                bursts += 1
                time.sleep(BURST_S)
                if time.monotonic() > until:
                    break
        time.sleep(BURST_S)
    sys.stdout.write(str(bursts))


if __name__ == "__main__":
    main(*sys.argv[1:])
