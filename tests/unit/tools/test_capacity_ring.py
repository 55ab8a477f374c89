"""The ring of sessions and replicas."""

import pytest
from capacity.ring import LEAST, Ring, xxh64

SESSIONS = [f"session-{number}" for number in range(3_000)]
ADDRESSES = [f"10.0.0.{number}:50051" for number in range(1, 6)]


@pytest.mark.parametrize(
    ("data", "digest"),
    [(b"", 0xEF46DB3751D8E999), (b"a", 0xD24EC4F1A98C6E5B), (b"abc", 0x44BC2CF5AD770999)],
)
def test_the_hash_is_xxh64(data: bytes, digest: int) -> None:
    assert xxh64(data) == digest


def test_only_the_sessions_of_a_lost_replica_move() -> None:
    ring = Ring(ADDRESSES)
    before = {name: ring.owner(name) for name in SESSIONS}
    after = {name: ring.owner(name, lost={ADDRESSES[2]}) for name in SESSIONS}
    moved = {name for name in SESSIONS if after[name] != before[name]}
    assert moved == {name for name in SESSIONS if before[name] == ADDRESSES[2]}
    assert {after[name] for name in moved} == {*ADDRESSES} - {ADDRESSES[2]}


def test_shares_are_those_of_many_sessions() -> None:
    ring = Ring(ADDRESSES)
    shares = ring.shares()
    assert sum(shares.values()) == pytest.approx(1)
    for address in ADDRESSES:
        found = sum(ring.owner(name) == address for name in SESSIONS) / len(SESSIONS)
        assert found == pytest.approx(shares[address], abs=0.03)


@pytest.mark.parametrize(("count", "places"), [(1, LEAST), (3, 1026), (700, 1400), (5_000, 4096)])
def test_places_are_as_many_as_grpc_makes(count: int, places: int) -> None:
    ring = Ring([f"10.0.{at >> 8}.{at & 255}:1" for at in range(count)])
    assert len(ring._ring) == places
