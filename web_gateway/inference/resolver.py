"""Resolves a `dns:` target to a list of addresses that changes as little as possible.

gRPC's ring hash gives each address a share that depends on the whole list, so dropping the address of a dead server
would also move sessions off the live ones. A vanished address therefore stays listed for ADDRESS_TTL_S, or until a new
one appears, which reshuffles the ring anyway.
"""

import asyncio
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import structlog

from service_kit.targets import name_in

ADDRESS_TTL_S = 300.0  # by then a crashed server is back or replaced

Address = tuple[str, int]
"""Host and port."""

logger = structlog.get_logger()


class Addresses:
    """The current addresses of a target. `now` is a clock in seconds."""

    def __init__(self, target: str, now: Callable[[], float] = time.monotonic) -> None:
        self._given = target
        self._named = name_in(target)
        self._now = now
        self._last_seen: dict[Address, float] = {}

    @property
    def host(self) -> str | None:
        """The host name to resolve; None if the target has none, or names its own DNS server."""
        return self._named and self._named[0]

    @property
    def authority(self) -> str | None:
        """`host:port`, sent as each call's :authority."""
        return self._named and "{}:{}".format(*self._named)

    @property
    def target(self) -> str:
        """The target for gRPC: the resolved addresses, or the target as given until it resolves."""
        if not self._last_seen:
            return self._given
        if all(":" not in host for host, _ in self._last_seen):
            return "ipv4:" + ",".join(f"{host}:{port}" for host, port in sorted(self._last_seen))
        mapped = ((host if ":" in host else f"::ffff:{host}", port) for host, port in sorted(self._last_seen))
        return "ipv6:" + ",".join(
            f"[{host}]:{port}" for host, port in mapped
        )  # gRPC takes one address family per target

    async def look(self) -> bool:
        """Resolves the name again. Returns whether the list changed; a failed lookup leaves it as it is."""
        if self._named is None:
            return False
        found: list[Any] = []
        with suppress(OSError, UnicodeError):  # UnicodeError: not a valid host name
            found = await asyncio.get_running_loop().getaddrinfo(*self._named, type=socket.SOCK_STREAM)
        return self.take([address[:2] for *_, address in found])

    def take(self, found: Sequence[Address]) -> bool:
        """Merges a lookup's result into the list. Returns whether the list changed."""
        if not found:
            return False
        now, previous = self._now(), self._last_seen
        recent = {address: seen for address, seen in previous.items() if now - seen < ADDRESS_TTL_S}
        current = dict.fromkeys(found, now)
        self._last_seen = current if set(found) - previous.keys() else recent | current
        if self._last_seen.keys() == previous.keys():
            return False
        logger.info("inference servers resolved", target=self.target)
        return True
