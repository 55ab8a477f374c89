"""Which replica a session belongs to, by the rule of gRPC's ring hash: told beforehand, for comparison.

Every address stands on a ring at as many places as its share of RING is, rounded up; a session's place is the next one
at or after its own hash.
"""

import bisect
from collections.abc import Sequence

RING = 1024  # the least places that the gateway asks for
MASK = (1 << 64) - 1
PRIMES = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5)


def owners(sessions: Sequence[str], addresses: Sequence[str]) -> dict[str, str]:
    """session → the one of the addresses (host:port) that it belongs to, each of them SERVING."""
    places = -(-RING // len(addresses))
    ring = sorted((xxh64(f"{address}_{index}".encode()), address) for address in addresses for index in range(places))
    hashes = [place for place, _ in ring]
    return {name: ring[bisect.bisect_left(hashes, xxh64(name.encode())) % len(ring)][1] for name in sessions}


def xxh64(data: bytes) -> int:
    """XXH64 of fewer than 32 bytes, with the seed 0."""
    assert len(data) < 32
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
