"""Several inference servers behind one gateway, under readers who never stop: no failure of one reaches them.

Only the sessions of a server that fails or is taken away move, though Docker takes its address off the name's list. A
server that is added gives each another number of places on the ring, and so some sessions move between servers that are
as they were. Which ones is told by the ring, and must be what happens.
"""

import os
import signal
import time
from collections.abc import Iterator, Sequence

import pytest
from capacity import ring
from containers import GRPC_PORT, SERVER, Container, Stack, docker, running, until
from readers import Readers, answered_by, readers

from web_gateway.inference.channel import RESOLVE_INTERVAL_S

REPLICAS = 3


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    variables = {"REPLICAS": str(REPLICAS), "NEXTTOKEN_CONNECTION_AGE_S": "5", "NEXTTOKEN_LOOKAHEAD": "0"}
    with running("docker-compose.scale.yml", **variables) as stack:
        yield stack


@pytest.fixture
def load(stack: Stack) -> Iterator[Readers]:
    """Readers who have all found their replica, and none of whom failed at the end."""
    stack.serving()
    with readers(stack.url) as load:
        load.everyone()
        yield load
    assert load.failures() == [], stack.logs()


def homes(load: Readers, stack: Stack) -> dict[str, str]:
    """session → the replica that answers it, once each has one: while addresses come and go some may have two."""
    found: dict[str, set[str]] = {}

    def settled() -> bool:
        found.update(answered_by(load.everyone(3), stack.containers()))
        return all(len(ids) == 1 for ids in found.values())

    until(settled)
    return {session: next(iter(ids)) for session, ids in found.items()}


def moved(before: dict[str, str], after: dict[str, str]) -> set[str]:
    """Sessions that another replica answers now."""
    return {session for session in before if before[session] != after[session]}


def belongs(load: Readers, replicas: Sequence[Container]) -> dict[str, str]:
    """session → the replica that it belongs to while the name lists the addresses of these, all of them SERVING."""
    by_address = {f"{replica.address}:{GRPC_PORT}": replica.id for replica in replicas}
    return {session: by_address[owner] for session, owner in ring.owners(load.names, list(by_address)).items()}


def at(homes: dict[str, str], replica: Container) -> set[str]:
    """The sessions of a replica."""
    return {session for session, id_ in homes.items() if id_ == replica.id}


def test_sessions_stick_and_all_replicas_have_some(stack: Stack, load: Readers) -> None:
    before = homes(load, stack)
    assert before == belongs(load, stack.containers())
    assert set(before.values()) == {replica.id for replica in stack.containers()}
    assert homes(load, stack) == before


def test_a_replica_that_dies_takes_no_request_with_it_and_its_sessions_move(stack: Stack, load: Readers) -> None:
    before = homes(load, stack)
    victim, *others = stack.containers()
    docker("update", "--restart", "no", victim.id)
    os.kill(victim.pid, signal.SIGKILL)
    until(lambda: victim.address == "")
    time.sleep(2 * RESOLVE_INTERVAL_S)
    after = homes(load, stack)
    assert moved(before, after) == at(before, victim)
    assert set(after.values()) == {other.id for other in others}
    docker("update", "--restart", "unless-stopped", victim.id)
    docker("start", victim.id)
    stack.serving()
    until(lambda: homes(load, stack) == before)


def test_a_replica_that_crashes_is_started_again(stack: Stack, load: Readers) -> None:
    victim = stack.containers()[1]
    os.kill(victim.pid, signal.SIGKILL)
    until(lambda: victim.inspect()["RestartCount"] == 1)
    stack.serving()


def test_a_new_replica_gets_its_share(stack: Stack, load: Readers) -> None:
    scale = f"{SERVER}={REPLICAS + 1}"
    stack.compose("up", "--detach", "--no-build", "--no-recreate", "--scale", scale)
    stack.serving()
    shared = belongs(load, stack.containers())
    until(lambda: homes(load, stack) == shared)
    fourth = stack.containers()[-1]
    assert at(shared, fourth) != set()
    docker("stop", fourth.id)
    docker("rm", fourth.id)
    time.sleep(2 * RESOLVE_INTERVAL_S)
    assert moved(shared, homes(load, stack)) == at(shared, fourth)


def test_a_rolling_restart_loses_no_request(stack: Stack, load: Readers) -> None:
    for replica in stack.containers():
        docker("restart", "--time", "20", replica.id)
        until(replica.serves)
    load.everyone()


def test_a_replica_that_hangs_is_noticed(stack: Stack, load: Readers) -> None:
    before = homes(load, stack)
    victim = stack.containers()[2]
    docker("pause", victim.id)
    began = time.monotonic()
    try:
        load.everyone(1, began)
        noticed = time.monotonic() - began
        assert moved(before, homes(load, stack)) == at(before, victim)
    finally:
        docker("unpause", victim.id)
    print(f"\nhang_noticed_s {noticed:.1f}")  # noqa: T201
    until(lambda: moved(before, homes(load, stack)) == set())
