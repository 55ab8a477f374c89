"""What of a growing deployment is exhausted, in which order, and what helps then."""

from dataclasses import dataclass

from capacity.plan import CELL, Planner, hottest
from inference_server.host.memory import divide

UNEVEN = 1.5  # the busiest replica's share over the mean
DOUBLED = tuple(2**power for power in range(1, 12))


@dataclass(frozen=True)
class Limit:
    """One that is reached at so many daily visits in one deployment of default settings."""

    what: str
    visits_per_day: float
    answer: str


def limits(planner: Planner) -> list[Limit]:
    """The first to be reached first."""
    day, requests = planner.visits_per_day, 1 + planner.load.clicks
    waiting_s = planner.target.p95_ms / 1e3
    uneven = next((count for count in DOUBLED if hottest(count) * count >= UNEVEN), DOUBLED[-1])
    found = [
        Limit(
            "one replica's computing, within the target", day(planner.capacity), "more replicas, or a faster machine"
        ),
        Limit(
            "one gateway's connections (`NEXTTOKEN_MAX_CONNECTIONS`)",
            day(planner.connections),
            "more gateways behind a balancer, or a higher limit with as many open files",
        ),
        Limit("one gateway's core", day(planner.gateway_processor), "more gateways behind a balancer"),
        Limit(
            "one gateway's requests in flight (`NEXTTOKEN_MAX_REQUESTS`), if each takes as long as the target",
            day(planner.gateway.max_requests / waiting_s / requests),
            "more gateways; a higher limit only makes visitors wait longer",
        ),
        Limit(
            f"the ring: of {uneven} replicas, the busiest has {hottest(uneven) * uneven:.1f} times the mean",
            day(planner.capacity / hottest(uneven)),
            f"several deployments side by side, of at most {CELL} replicas each; or fewer, larger replicas",
        ),
    ]
    if (cached := _cached(planner)) < planner.capacity:  # else more replicas have come before
        what = "one replica's cache (`NEXTTOKEN_CACHE_MB`) for the texts of all its visitors"
        found.append(Limit(what, day(cached), "more memory; until then, the oldest texts are computed again"))
    return sorted(found, key=lambda limit: limit.visits_per_day)


def _cached(planner: Planner) -> float:
    """Visits a second whose texts fill one replica's cache while they last."""
    load, stored = planner.load, divide(planner.server.cache_mb << 20, others=1).stored_by_each
    tokens = load.prompt_tokens + load.clicks * (1 + load.typed * (load.typed_tokens - 1))
    return stored / (tokens * planner.profile.token_bytes) / load.visit_s
