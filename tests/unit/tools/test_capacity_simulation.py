"""The simulated gateway and replicas: against queueing theory, and nothing is lost on the way."""

import itertools
import random
from statistics import mean
from typing import Any

import msgspec
import pytest
import simpy
from capacity.cores import Cores
from capacity.load import Load, visit
from capacity.profile import PROFILES, Profile, Times, at, read
from capacity.replica import Replica
from capacity.simulation import Simulation, Site
from capacity.table import heading
from capacity_profiles import PLAIN

from inference_server.messages import Client
from inference_server.settings import Settings
from web_gateway.settings import Settings as GatewaySettings

ONE, THREE = ["10.0.0.1:50051"], [f"10.0.0.{number}:50051" for number in range(1, 4)]


class Exponential(Times):
    """Steps of exponentially distributed times, one second in the mean."""

    def click_s(self, prompts: int) -> float:
        return self._chance.expovariate(1)


def test_one_replica_that_does_not_batch_is_a_queue_with_one_server() -> None:
    """M/M/1: the mean time in it is 1 / (service rate - arrival rate)."""
    env, chance, load, taken = simpy.Environment(), random.Random(5), 0.5, list[float]()
    free = msgspec.structs.replace(PLAIN, server_ms=0.0)
    settings = Settings(batch_size=1, lookahead=0, queue_limit=10_000, client_share=1)
    replica = Replica(env, "one", settings, Exponential(free, random.Random(6)), Cores(env, 8))

    def ask(number: int) -> Any:
        began = env.now
        yield from replica.ask(Client(f"address-{number}"), (number,), False, deadline=1e9)
        taken.append(env.now - began)

    def arrive() -> Any:
        for number in range(4_000):
            yield env.timeout(chance.expovariate(load))
            env.process(ask(number))

    env.process(arrive())
    env.run()
    assert mean(taken) == pytest.approx(1 / (1 - load), rel=0.1)
    assert replica.busy_s / env.now == pytest.approx(load, rel=0.05)


@pytest.mark.parametrize(
    ("server", "gateway"),
    [
        (Settings(), GatewaySettings()),
        (Settings(queue_limit=3), GatewaySettings()),  # the server refuses
        (Settings(), GatewaySettings(max_requests=2)),  # the gateway does
        (Settings(), GatewaySettings(timeout_s=0.4)),  # deadlines pass
        (Settings(cache_mb=14), GatewaySettings()),  # the cache is full all the time
    ],
)
def test_every_request_is_answered_or_refused(server: Settings, gateway: GatewaySettings) -> None:
    load = Load(clicks=6, think_s=0.5, scored=0.1)
    simulation = Simulation(PLAIN, load, Site(THREE, 2, server, gateway), seed=2)
    outcome = simulation.visits(40, per_s=20)
    actions = sum(len(visit(load, 2, number).actions) for number in range(40))
    assert len(outcome.answers) + outcome.refused["late"] == actions
    assert outcome.asked == len(outcome.answers) + outcome.refused.total()
    limited = (server, gateway) != (Settings(), GatewaySettings()) and server.cache_mb > 100
    assert (outcome.refused.total() > 0) == limited
    for replica in simulation.replicas:
        assert replica.admission.in_flight == 0
        assert replica.executor.tree.stray_holds == 0
    if server.cache_mb < 100:
        assert sum(replica.executor.tree.evicted_blocks for replica in simulation.replicas) > 0


def test_more_load_never_helps() -> None:
    outcomes = [Simulation(PLAIN, Load(), Site(ONE), seed=1).stream(per_s, 4, 40) for per_s in (0.05, 0.15, 0.5)]
    for lighter, heavier in itertools.pairwise(outcomes):
        assert heavier.percentile_ms(0.5) > lighter.percentile_ms(0.5)
        assert heavier.percentile_ms(0.95) > lighter.percentile_ms(0.95)
        assert heavier.busy[ONE[0]] > lighter.busy[ONE[0]]
        assert heavier.hit_share < lighter.hit_share


def test_the_same_seed_gives_the_same_run() -> None:
    first, again, other = (Simulation(PLAIN, Load(), Site(THREE), seed).stream(0.5, 2, 10) for seed in (1, 1, 2))
    assert first == again
    assert first.answers != other.answers


def test_a_visit_stays_at_the_replica_of_its_session() -> None:
    simulation = Simulation(PLAIN, Load(clicks=3, think_s=0.1, shared=0), Site(THREE), seed=4)
    simulation.visits(30, per_s=5)
    asked = {
        address: {
            visit(simulation.load, 4, at).actions[0].tokens for at in range(30) if home(simulation, at) == address
        }
        for address in THREE
    }
    for replica in simulation.replicas:
        found = {ids for ids in asked[replica.address] if len(replica.executor.tree.match_prefix(ids)) == len(ids)}
        elsewhere = set().union(*asked.values()) - asked[replica.address]
        assert found == asked[replica.address]
        assert not [ids for ids in elsewhere if len(replica.executor.tree.match_prefix(ids)) > 1]


@pytest.mark.parametrize(("one_machine", "ms_per_token"), [(None, 3), (8, 7)])
def test_each_scored_token_makes_its_answers_way_longer(one_machine: float | None, ms_per_token: float) -> None:
    load, site = Load(clicks=2, scored=1, typed=0), Site(ONE, one_machine=one_machine)
    dear = msgspec.structs.replace(PLAIN, scored_server_ms=1, scored_gateway_ms=2, scored_asking_ms=4)
    before, after = (Simulation(profile, load, site, seed=3).visits(1, per_s=1).answers for profile in (PLAIN, dear))
    opening, *others = visit(load, 3, 0).actions
    assert [kind for kind, _ in before] == ["open", *["score"] * len(others)]
    longer = [dearer - plain for (_, plain), (_, dearer) in zip(before, after, strict=True)]
    assert longer == pytest.approx([0, *[len(opening.tokens) * ms_per_token / 1e3] * len(others)])


def home(simulation: Simulation, number: int) -> str:
    return simulation.ways.replica(visit(simulation.load, 4, number).session).address


def test_curves_are_straight_between_points_and_beyond() -> None:
    curve = ((1, 10.0), (4, 40.0), (8, 60.0))
    assert [at(curve, count) for count in (1, 2, 4, 6, 8, 16)] == [10, 20, 40, 50, 60, 100]


@pytest.mark.parametrize("path", sorted(PROFILES.glob("*.json")), ids=lambda path: path.stem)
def test_a_profile_says_where_it_comes_from(path: Any) -> None:
    profile: Profile = read(path)
    assert profile.name == path.stem
    assert profile.source in heading(profile)
    assert ("not measured" in heading(profile)) is not profile.measured
