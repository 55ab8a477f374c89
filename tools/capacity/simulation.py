"""Gateways, replicas and visitors over simulated time."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import simpy

from capacity.cores import Cores
from capacity.gateway import Gateway, Late, Refused, Ways
from capacity.load import Action, Load, Visit, arrivals, extended, session, visit
from capacity.outcome import Outcome
from capacity.profile import Profile, Times
from capacity.replica import Replica, Waiting
from inference_server.messages import Client
from inference_server.sequence import Ids
from inference_server.settings import Settings as ServerSettings
from web_gateway.settings import Settings as GatewaySettings


@dataclass(frozen=True)
class Site:
    """What is deployed."""

    replicas: Sequence[str]
    """Their addresses."""
    gateways: int = 1
    server: ServerSettings = field(default_factory=ServerSettings)
    gateway: GatewaySettings = field(default_factory=GatewaySettings)
    one_machine: float | None = None
    """Cores that replicas, gateways and a program that plays the visitors share; None: each has its own machine."""
    sampled: Sequence[str] | None = None
    """Of the replicas, those to simulate; visits to others are left out."""


class Simulation:
    """One run; the same for the same seed."""

    def __init__(self, profile: Profile, load: Load, site: Site, seed: int) -> None:
        self.env = simpy.Environment()
        self.load = load
        self.seed = seed
        self.outcome = Outcome()
        self.chance = random.Random(f"{seed}-times")
        shared = None if site.one_machine is None else Cores(self.env, site.one_machine)
        times = Times(profile, self.chance)
        self.replicas = [
            Replica(self.env, address, site.server, times, shared or Cores(self.env, profile.cores))
            for address in site.replicas
        ]
        self.gateways = [
            Gateway(self.env, site.gateway, profile, shared or Cores(self.env, 1)) for _ in range(site.gateways)
        ]
        self.ways = Ways(self.gateways, self.replicas)
        self._sampled = None if site.sampled is None else set(site.sampled)
        self._asking = None if shared is None else simpy.Resource(self.env, 1)
        self._profile, self._shared = profile, shared
        self._counting = False

    def crowd(self, users: int, seconds: float) -> Outcome:
        """So many users, each of whom begins another visit after the last one's end."""
        for user in range(users):
            self.env.process(self._user(user, users))
        return self._count(0.0, seconds)

    def stream(self, per_s: float, warm_s: float, seconds: float) -> Outcome:
        """Visits that begin at random, so many a second, among others that have begun before."""
        begun = round(per_s * self.load.visit_s)
        for number in range(begun):
            if self._simulated(number):
                each = visit(self.load, self.seed, number)
                self.env.process(self._visit(each, number, self.chance.randrange(len(each.actions))))
        self.env.process(self._arrive(per_s, begun))
        return self._count(warm_s, seconds)

    def visits(self, count: int, per_s: float) -> Outcome:
        """So many visits, each to its end."""
        self.env.process(self._arrive(per_s, 0, count))
        self._counting = True
        self.env.run()
        self.outcome.seconds = self.env.now
        return self.outcome

    def _count(self, warm_s: float, seconds: float) -> Outcome:
        if warm_s:
            self.env.run(warm_s)
        self._counting = True
        workers = [replica.busy_s for replica in self.replicas]
        gateways = [gateway.cores.busy_s for gateway in self.gateways]
        self.env.run(warm_s + seconds)
        self._counting = False
        for replica, before in zip(self.replicas, workers, strict=True):
            self.outcome.busy[replica.address] = (replica.busy_s - before) / seconds
        for number, (gateway, before) in enumerate(zip(self.gateways, gateways, strict=True)):
            self.outcome.busy[f"gateway {number}"] = (gateway.cores.busy_s - before) / seconds
        self.outcome.seconds = seconds
        return self.outcome

    def _arrive(self, per_s: float, first: int, count: int | None = None) -> Waiting:
        for number, pause_s in enumerate(islice(arrivals(per_s, self.seed), count), first):
            yield self.env.timeout(pause_s)
            if self._simulated(number):
                self.env.process(self._visit(visit(self.load, self.seed, number), number))

    def _simulated(self, number: int) -> bool:
        return self._sampled is None or self.ways.replica(session(self.seed, number)).address in self._sampled

    def _user(self, user: int, users: int) -> Waiting:
        for number in _every(user, users):
            yield from self._visit(visit(self.load, self.seed, number), number)

    def _visit(self, each: Visit, number: int, skipped: int = 0) -> Waiting:
        """Its actions; the first ones, if skipped, happened before."""
        client = Client(each.address, each.session)
        gateway, replica = self.ways.of(each.session, number)
        ids: Ids = ()
        for at, action in enumerate(each.actions):
            ids = extended(ids, action)
            if at == skipped - 1:
                replica.executor.remember(ids)
            if at >= skipped:
                yield self.env.timeout(action.think_s)
                yield from self._ask(client, ids, action, gateway, replica)

    def _ask(self, client: Client, ids: Ids, action: Action, gateway: Gateway, replica: Replica) -> Waiting:
        """Asks until there is an answer, after the pauses that refusals name."""
        while True:
            counted, began = self._counting, self.env.now
            self.outcome.asked += counted
            try:
                yield from self._by_browser()
                score = action.kind == "score"
                prefetched = yield from gateway.ask(client, ids, score, replica)
                yield from self._by_browser(len(ids) if score else 0)
            except Refused as refused:
                self.outcome.refused["full"] += counted
                yield self.env.timeout(refused.retry_after_s)
            except Late:
                self.outcome.refused["late"] += counted
                return
            else:
                if counted:
                    self.outcome.answers.append((action.kind, self.env.now - began))
                    self.outcome.hits += prefetched and action.kind == "click"
                return

    def _by_browser(self, scored: int = 0) -> Waiting:
        """Half of what asking costs on the same machine, and what so many scored tokens add."""
        if self._asking is None or self._shared is None:
            return
        with self._asking.request() as turn:
            yield turn
            profile = self._profile
            yield self._shared.run(profile.asking_ms / 2e3 + scored * profile.scored_asking_ms / 1e3)


def _every(first: int, step: int) -> Iterator[int]:
    while True:
        yield first
        first += step
