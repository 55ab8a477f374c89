"""Which replica a session belongs to, by the rule of gRPC's ring hash, which the gateway uses.

Every address stands on a ring at as many places as its share of the ring is, rounded up; a session's place is the next
one at or after its own hash.
"""

import bisect
import math
from collections.abc import Sequence, Set

from web_gateway.inference.channel_options import BALANCING

SIZES = BALANCING["loadBalancingConfig"][0]["ring_hash_experimental"]
LEAST, MOST = int(SIZES["minRingSize"]), int(SIZES["maxRingSize"])
MASK = (1 << 64) - 1
PRIMES = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5)


class Ring:
    """The places of some addresses (host:port), each of them SERVING."""

    def __init__(self, addresses: Sequence[str], least: int = LEAST) -> None:
        """At least `least` places in all."""
        count = len(addresses)
        size = min(math.ceil(least / count) * count, MOST)
        ring, target = list[tuple[int, str]](), 0.0
        for address in addresses:
            target += size / count
            index = 0
            while len(ring) < target:
                ring.append((xxh64(f"{address}_{index}".encode()), address))
                index += 1
        self._ring = sorted(ring)
        self._hashes = [place for place, _ in self._ring]

    def owner(self, session: str, lost: Set[str] = frozenset()) -> str:
        """The address that a session belongs to; the next one on the ring while that one does not answer."""
        first = bisect.bisect_left(self._hashes, xxh64(session.encode()))
        places = (self._ring[(first + at) % len(self._ring)][1] for at in range(len(self._ring)))
        return next(address for address in places if address not in lost)

    def shares(self) -> dict[str, float]:
        """How much of all sessions each address gets."""
        shares = dict.fromkeys((address for _, address in self._ring), 0.0)
        for (place, address), (before, _) in zip(self._ring, [self._ring[-1], *self._ring], strict=False):
            shares[address] += ((place - before) & MASK) / (MASK + 1)
        return shares


def owners(sessions: Sequence[str], addresses: Sequence[str]) -> dict[str, str]:
    """session → the one of the addresses that it belongs to."""
    ring = Ring(addresses)
    return {name: ring.owner(name) for name in sessions}


def xxh64(data: bytes) -> int:
    """XXH64 of fewer than 32 bytes, with the seed 0."""
    if len(data) >= 32:
        raise ValueError("only for fewer than 32 bytes")
    first, second, third, fourth, fifth = PRIMES
    state = fifth + len(data)
    while len(data) >= 8:
        lane = int.from_bytes(data[:8], "little") * second & MASK
        state = turned((state ^ turned(lane, 31) * first) & MASK, 27) * first + fourth & MASK
        data = data[8:]
    if len(data) >= 4:
        lane = int.from_bytes(data[:4], "little") * first & MASK
        state = turned(state ^ lane, 23) * second + third & MASK
        data = data[4:]
    for byte in data:
        state = turned(state ^ byte * fifth & MASK, 11) * first & MASK
    for shift, factor in ((33, second), (29, third), (32, 1)):
        state = (state ^ state >> shift) * factor & MASK
    return state


def turned(value: int, bits: int) -> int:
    """Rotated left within 64 bits."""
    return (value << bits | value >> 64 - bits) & MASK
