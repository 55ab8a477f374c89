"""What happens to a Ray cluster under load reaches no reader: replicas and nodes that die, new versions, scaling.

The tests follow each other on one cluster: the third leaves it with a version that scales.
"""

import asyncio
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

from gateways import problem
from load import Load, under_load
from ray_serve.cluster import SESSIONS, SETTINGS, SMALL, RayCluster

SCALING = {
    "min_replicas": 1,
    "max_replicas": 3,
    "target_ongoing_requests": 1,
    "upscale_delay_s": 0.5,
    "downscale_delay_s": 2,
    "metrics_interval_s": 0.5,
    "look_back_period_s": 1,
}


def homes(cluster: RayCluster, since: str = "") -> dict[str, set[str]]:
    """session → the replicas that answered it since a moment."""
    found: dict[str, set[str]] = defaultdict(set)
    for call in cluster.calls():
        session, _, number = call["request_id"].partition("-")
        if call["rpc"] == "TopK" and number.isdecimal() and call["timestamp"] >= since:
            found[session].add(call["replica"])
    return found


async def test_a_session_stays_at_one_replica(cluster: RayCluster, load: Load) -> None:
    await load.round()
    await load.round()
    found = homes(cluster)
    assert len(found) == SESSIONS
    assert sum(len(replicas) == 1 for replicas in found.values()) >= 0.95 * SESSIONS
    assert len(set.union(*found.values())) == 2


async def test_a_replica_that_dies_fails_no_click_and_moves_few_sessions(cluster: RayCluster, load: Load) -> None:
    await load.round()
    before, replicas = homes(cluster), set(await asyncio.to_thread(cluster.ask, "running", 2))
    cluster.processes()[0].kill()
    for _ in range(3):
        await load.round()
    assert load.failures == []
    (died,) = replicas - set(await asyncio.to_thread(cluster.ask, "renewed", sorted(replicas)))
    begun = datetime.now(UTC).isoformat()
    await load.round()
    await load.round()
    after = homes(cluster, begun)
    others = [name for name, at in before.items() if died not in at]
    successor = set.union(*after.values()) - replicas
    assert len(successor) == 1
    assert all(after[name] <= before[name] | successor for name in others)
    assert any(after[name] == before[name] for name in others)


async def test_a_new_version_replaces_the_old_one_and_fails_no_click(cluster: RayCluster, load: Load) -> None:
    old = set(await asyncio.to_thread(cluster.ask, "running", 2))
    new = await asyncio.to_thread(cluster.deploy, {**SETTINGS, "step_tokens": 256}, **SMALL, autoscaling_config=SCALING)
    await load.round()
    assert not old & set(new)


async def test_replicas_come_and_go_with_the_load(cluster: RayCluster, gateway: Any) -> None:
    async with under_load(str(gateway.web.base_url), SESSIONS, pause_s=0.05) as load:
        await asyncio.to_thread(cluster.ask, "running", 3)
        assert load.failures == []
    async with under_load(str(gateway.web.base_url), 1, pause_s=0.5) as load:  # less than one call at a time
        await asyncio.to_thread(cluster.ask, "running", 1)
        assert load.failures == []


async def test_a_node_that_dies_fails_no_click(cluster: RayCluster, load: Load) -> None:
    """One replica on each node, each with a proxy of its own."""
    await asyncio.to_thread(cluster.add_node)
    wide = {**SMALL, "ray_actor_options": {"num_cpus": 1.5}}
    tight = {**SETTINGS, "queue_limit": SESSIONS * 2}  # half for each address
    await asyncio.to_thread(cluster.deploy, tight, **wide, num_replicas=2, autoscaling_config=None)
    begun = datetime.now(UTC).isoformat()
    await load.round()
    await load.round()
    assert len(set.union(*homes(cluster, begun).values())) == 2
    await asyncio.to_thread(cluster.ask, "kill_node")
    for _ in range(5):
        await load.round()


async def test_a_full_queue_reaches_the_page_as_429(gateway: Any) -> None:
    bodies = {str(number): {"text": f"{number} " + "once upon a time " * 110} for number in range(5 * SESSIONS)}
    answers = await asyncio.gather(
        *(gateway.web.post("/api/next-token", json=body, headers={"x-session": name}) for name, body in bodies.items())
    )
    refused = [answer for answer in answers if answer.status_code != 200]
    assert len(refused) < len(answers)
    for answer in refused:
        problem(answer, 429, "overloaded")
        assert int(answer.headers["retry-after"]) >= 1
    assert refused
