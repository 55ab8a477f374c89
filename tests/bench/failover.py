"""What it costs visitors that a server ends: three behind one gateway, under a bounded load, each ended in turn.

Failed requests are those that were not answered with 200, whatever the reason. Goal: none.
"""

import asyncio
import signal
from collections.abc import Callable

from gateways import run_gateway
from load import Load, under_load
from replicas import Replica, replicas, target

REPLICAS = 3
SESSIONS = 24
PAUSE_S = 0.1


async def in_turn(found: list[Replica], url: str, end: Callable[[Replica], None]) -> Load:
    """Ends one server after the other under load, each once the one before is back; what the load met."""
    async with under_load(url, SESSIONS, PAUSE_S, tolerant=True) as load:
        await load.round()
        for replica in found:
            await asyncio.to_thread(end, replica)
            await load.round()
            await asyncio.to_thread(replica.come_back)
            await load.round()
    return load


def kill(replica: Replica) -> None:
    """Ends it without a word."""
    replica.send(signal.SIGKILL)


def restart(replica: Replica) -> None:
    """Ends it as an operator does."""
    replica.send(signal.SIGTERM)
    replica.server.end()


async def hang(found: list[Replica], url: str) -> Load:
    """Stops one server in its tracks, as a host does that hangs, until everyone is answered by the others."""
    async with under_load(url, SESSIONS, PAUSE_S, tolerant=True) as load:
        await load.round()
        load.slowest_s = 0.0
        found[0].send(signal.SIGSTOP)
        await load.round()
        await load.round()
        found[0].send(signal.SIGCONT)
    return load


async def measure() -> dict[str, float]:
    """All figures of this benchmark; prints them as a table."""
    env = {"NEXTTOKEN_LOOKAHEAD": "0"}
    with replicas(REPLICAS, env, ("-m", "inference_server")) as found, run_gateway(target(found)) as url:
        killed, rolled, hung = (
            await in_turn(found, url, kill),
            await in_turn(found, url, restart),
            await hang(found, url),
        )
    print(f"{REPLICAS} servers, {SESSIONS} sessions; each server ended in turn")
    print(f"  {'':22} {'answered':>9} {'failed':>7} {'slowest s':>10}")
    for name, load in (("killed", killed), ("restarted", rolled), ("one hangs", hung)):
        print(f"  {name:22} {load.answered:9} {len(load.failures):7} {load.slowest_s:10.2f}")
    return {
        "failover_failed_requests": len(killed.failures),
        "rolling_failed_requests": len(rolled.failures),
        "hang_failed_requests": len(hung.failures),
        "hang_noticed_s": round(hung.slowest_s, 2),
    }
