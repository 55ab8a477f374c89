"""Three servers behind one gateway, under load: sessions keep their server, and whatever ends one costs no answer."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import pytest_asyncio
from gateways import gateway_here
from load import Load, under_load
from replicas import Replica, replicas, target
from servers import PATIENCE_S

SESSIONS = 24
PAUSE_S = 0.05
NOTICED_S = 15.0  # the deadline of a request that meets a host which hangs: noticed within 10 s, and tried again


@pytest.fixture(scope="module")
def three() -> Iterator[list[Replica]]:
    with replicas(3) as found:
        yield found


@pytest_asyncio.fixture
async def load(three: list[Replica]) -> AsyncIterator[Load]:
    """A load on a gateway in front of all three, each of which has its sessions; it must end without a failure."""
    async with (
        gateway_here(target(three), timeout_s=NOTICED_S) as gateway,
        under_load(str(gateway.web.base_url), SESSIONS, pause_s=PAUSE_S) as running,
    ):
        await running.round()
        yield running
        assert running.failures == []


async def homes(three: list[Replica], load: Load) -> list[set[str]]:
    """Which sessions each server answers now."""
    for replica in three:
        replica.served()
    await load.round()
    await load.round()
    assert load.failures == []
    return [replica.served() for replica in three]


async def settle(three: list[Replica], load: Load, holds: Callable[[list[set[str]]], bool]) -> list[set[str]]:
    """Waits until the sessions are divided as they should be; how they are."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds(found := await homes(three, load)):
            pass
    return found


def divided(found: list[set[str]]) -> bool:
    """Whether each session has one server and each server some sessions."""
    return all(found) and sum(map(len, found)) == SESSIONS


async def test_a_session_keeps_its_server(three: list[Replica], load: Load) -> None:
    first = await homes(three, load)
    assert divided(first)
    for _ in range(3):
        assert await homes(three, load) == first


@pytest.mark.parametrize("end", ["killed", "stopping", "hanging"])
async def test_only_the_sessions_of_a_server_that_ends_move(three: list[Replica], load: Load, end: str) -> None:
    before = await settle(three, load, divided)
    leaving, others = three[0], slice(1, None)
    leaving.send({"killed": signal.SIGKILL, "stopping": signal.SIGTERM, "hanging": signal.SIGSTOP}[end])
    after = await settle(three, load, lambda found: not found[0])
    assert set().union(*after) == set().union(*before)
    assert all(kept <= now for kept, now in zip(before[others], after[others], strict=True))
    if end == "hanging":
        leaving.send(signal.SIGCONT)
    else:
        await asyncio.to_thread(leaving.come_back)
    assert await settle(three, load, divided) == before


async def test_a_server_that_says_it_does_not_serve_gets_nothing(three: list[Replica]) -> None:
    with replicas(1, {"NEXTTOKEN_DRAIN_S": str(10 * PATIENCE_S)}) as (draining,):
        async with gateway_here(target([draining, three[1]])) as gateway:
            async with under_load(str(gateway.web.base_url), SESSIONS, pause_s=PAUSE_S) as running:
                both = [draining, three[1]]
                await settle(both, running, divided)
                draining.send(signal.SIGTERM)
                found = await settle(both, running, lambda found: not found[0])
                assert len(found[1]) == SESSIONS
                assert draining.server.process.poll() is None
            assert running.failures == []


async def test_a_rolling_restart_costs_no_answer(three: list[Replica], load: Load) -> None:
    before = await settle(three, load, divided)
    for replica in three:
        replica.send(signal.SIGTERM)
        assert await asyncio.to_thread(replica.server.end) == 0
        await asyncio.to_thread(replica.come_back)
        await settle(three, load, divided)
    assert await settle(three, load, divided) == before
