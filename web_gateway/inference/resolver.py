"""The addresses behind a `dns:` target, as a list that changes no more than it must. Knows names and clocks; no gRPC.

gRPC's ring gives each address a share of its places that depends on how many there are: were an address taken off the
list when its server dies, sessions of the servers that live would move too. So a vanished address keeps its places for
a while, or until a new one comes, which changes the ring anyway.
"""

import asyncio
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import structlog

from service_kit.targets import name_in

KEPT_S = 300.0  # a server that crashed is back by then, or replaced

Address = tuple[str, int]
"""Host and port."""

logger = structlog.get_logger()


class Addresses:
    """What a target stands for now. `now` is a clock in seconds."""

    def __init__(self, target: str, now: Callable[[], float] = time.monotonic) -> None:
        self._given = target
        self._named = name_in(target)
        self._now = now
        self._seen: dict[Address, float] = {}

    @property
    def host(self) -> str | None:
        """The name that is looked up; None where the target holds none, or names a name server of its own."""
        return self._named and self._named[0]

    @property
    def authority(self) -> str | None:
        """The name and the port, as calls give it."""
        return self._named and "{}:{}".format(*self._named)

    @property
    def target(self) -> str:
        """The addresses for gRPC; the target as it was given until something is found behind its name."""
        if not self._seen:
            return self._given
        if all(":" not in host for host, _ in self._seen):
            return "ipv4:" + ",".join(f"{host}:{port}" for host, port in sorted(self._seen))
        mapped = ((host if ":" in host else f"::ffff:{host}", port) for host, port in sorted(self._seen))
        return "ipv6:" + ",".join(f"[{host}]:{port}" for host, port in mapped)  # a list is of one kind

    async def look(self) -> bool:
        """Asks this machine's resolver; whether that changed the list. A name that is not found changes nothing."""
        if self._named is None:
            return False
        found: list[Any] = []
        with suppress(OSError, UnicodeError):  # the latter of what can be no host's name
            found = await asyncio.get_running_loop().getaddrinfo(*self._named, type=socket.SOCK_STREAM)
        return self.take([place[:2] for *_, place in found])

    def take(self, found: Sequence[Address]) -> bool:
        """Takes in what the name stands for; whether that changed the list."""
        if not found:
            return False
        now, former = self._now(), self._seen
        kept = {address: seen for address, seen in former.items() if now - seen < KEPT_S}
        self._seen = dict.fromkeys(found, now) if set(found) - former.keys() else kept | dict.fromkeys(found, now)
        if self._seen.keys() == former.keys():
            return False
        logger.info("servers found", target=self.target)
        return True
