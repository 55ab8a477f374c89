"""How many replicas and gateways a load takes, what visitors meet then, and what that costs."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property

from msgspec import Struct, structs

from capacity.load import Load
from capacity.outcome import Outcome
from capacity.profile import Profile
from capacity.ring import Ring
from capacity.simulation import Simulation, Site
from inference_server.settings import Settings as ServerSettings
from web_gateway.settings import Settings as GatewaySettings

CONNECTIONS = 2  # of a page: requests, and events of the models' states
CELL = 16  # replicas of one deployment at most: with more, the ring's shares are too uneven
ROOM = 0.8  # how much of what a replica takes at most is planned to be used
FULL = 0.7  # how much of a gateway's core and connections are planned to be used
REQUESTS = 700  # simulated for a judgement, if they fit these seconds
LEAST_S, MOST_S = 4.0, 90.0
WARM_S = 4.0
NEAR = 1.12  # steps in which a replica's capacity is looked for
LIGHT = 50  # times lighter than the guess: hardly anybody is there
SAMPLED = 3  # replicas simulated of many: the one with the most sessions, and others down to the one with the fewest


class Target(Struct, frozen=True, kw_only=True):
    """What visitors may expect in the busiest hour."""

    p95_ms: float = 500.0
    """Of clicks."""
    refused: float = 0.001
    """Share of requests."""

    def met(self, outcome: Outcome) -> bool:
        return outcome.percentile_ms(0.95, "click") <= self.p95_ms and outcome.refused_share <= self.refused


@dataclass(frozen=True)
class Plan:
    """One load on one kind of machine."""

    load: Load
    deployments: int
    """Side by side, each with its own gateways and ring."""
    replicas: int
    """Of all of them."""
    gateways: int
    outcome: Outcome
    cost: float
    """US dollars per million requests, with these machines all day."""


class Planner:
    """Plans for one profile and one kind of visit."""

    def __init__(
        self,
        profile: Profile,
        load: Load,
        target: Target | None = None,
        server: ServerSettings | None = None,
        gateway: GatewaySettings | None = None,
        seed: int = 1,
    ) -> None:
        self.profile = profile
        self.load = load
        self.target = target or Target()
        self.server = server or ServerSettings()
        self.gateway = gateway or GatewaySettings()
        self.seed = seed

    @cached_property
    def capacity(self) -> float:
        """Visits a second that one replica takes within the target."""
        return largest(self._guess, lambda per_s: self.target.met(self.simulate(1, per_s)))

    def plan(self, visits_per_day: int) -> Plan:
        """What so many daily visits take."""
        per_s = self.visits_per_s(visits_per_day)
        planned = ROOM * self.capacity
        deployments = max(1, math.ceil(per_s * hottest(CELL) / planned))
        own = per_s / deployments
        replicas = next(count for count in range(1, CELL + 1) if own * hottest(count) <= planned)
        outcome = self.simulate(replicas, own)
        replicas, gateways = replicas * deployments, self._gateways(own) * deployments
        machines = replicas * self.profile.replica_price + gateways * self.profile.gateway_price
        cost = machines * 24e6 / visits_per_day / (1 + self.load.clicks)
        return Plan(self._scaled(visits_per_day), deployments, replicas, gateways, outcome, cost)

    def simulate(self, replicas: int, per_s: float) -> Outcome:
        """A while of so many visits a second; of many replicas, some are simulated, with as much of the gateways."""
        names = addresses(replicas)
        shares = Ring(names).shares()
        ordered = sorted(names, key=lambda name: shares[name])
        places = sorted({round(at * (replicas - 1) / (SAMPLED - 1)) for at in range(SAMPLED)})
        sampled = [ordered[place] for place in places]
        share = sum(shares[name] for name in sampled)
        seconds = min(MOST_S, max(LEAST_S, REQUESTS / (per_s * share * (1 + self.load.clicks))))
        site = Site(names, max(1, int(self._gateways(per_s) * share)), self.server, self.gateway, sampled=sampled)
        return Simulation(self.profile, self.load, site, self.seed).stream(per_s, WARM_S, seconds)

    @property
    def gateway_processor(self) -> float:
        """Visits a second that keep one gateway's core busy."""
        return 1e3 / self.profile.gateway_ms / (1 + self.load.clicks)

    @property
    def connections(self) -> float:
        """Visits a second whose pages hold all of one gateway's connections."""
        pages = self.gateway.max_connections / CONNECTIONS
        return pages / (self._scaled(86_400).open_pages / self.visits_per_s(86_400))

    def visits_per_s(self, visits_per_day: int) -> float:
        """In the busiest hour."""
        return self._scaled(visits_per_day).visits_per_s

    def visits_per_day(self, per_s: float) -> float:
        """The daily visits whose busiest hour has so many a second."""
        return per_s * 3600 / self.load.busiest_hour

    def _gateways(self, per_s: float) -> int:
        return max(1, math.ceil(per_s / FULL / self.gateway_processor), math.ceil(per_s / FULL / self.connections))

    def _scaled(self, visits_per_day: int) -> Load:
        return structs.replace(self.load, visits_per_day=visits_per_day)

    @property
    def _guess(self) -> float:
        """Visits a second that would keep a worker busy if nothing were shared, batched or prefetched."""
        profile, load = self.profile, self.load
        opening = profile.prefill_ms[0][1] * max(1.0, load.prompt_tokens / profile.prefill_ms[0][0])
        return 1e3 / (opening + load.clicks * profile.click_ms[0][1])


def addresses(count: int) -> list[str]:
    """So many, of pods or hosts."""
    return [f"10.{at >> 16}.{at >> 8 & 255}.{at & 255}:50051" for at in range(1, count + 1)]


@cache
def hottest(count: int) -> float:
    """The largest share of the sessions that one of so many replicas gets."""
    return max(Ring(addresses(count)).shares().values())


class Unmet(ValueError):
    """No load is light enough for the target."""


def largest(guess: float, holds: Callable[[float], bool]) -> float:
    """About the largest number up to which something holds, searched from a guess. Raises Unmet far below it."""
    low, high = guess, guess
    while not holds(low):
        low, high = low / 1.5, low
        if low < guess / LIGHT:
            raise Unmet("not met by any load: even the lightest gives longer waits or refusals than the target allows")
    while high == low or holds(high):
        low, high = high, high * 1.5
    while high / low > NEAR:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
