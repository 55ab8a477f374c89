"""Gateways: places for requests, and the way of each session to its replica."""

import math
from collections import Counter

import simpy

from capacity.cores import Cores
from capacity.profile import Profile
from capacity.replica import Replica, Waiting
from capacity.ring import Ring
from inference_server.errors import DeadlineExpired, Overloaded
from inference_server.messages import Client
from inference_server.sequence import Ids
from web_gateway.http.shares import Shares
from web_gateway.settings import Settings

ASK_AGAIN_S = 1.0  # as web_gateway.http.limits says, which imports the web server


class Refused(Exception):
    """429, with the seconds that Retry-After says."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.retry_after_s = max(1, math.ceil(seconds))


class Late(Exception):
    """504."""


class Gateway:
    """One gateway process: a single thread on some cores."""

    def __init__(self, env: simpy.Environment, settings: Settings, profile: Profile, cores: Cores) -> None:
        self.cores = cores
        self.refused: Counter[str] = Counter()
        self._env = env
        self._loop = simpy.Resource(env, 1)
        self._places = Shares(
            "requests", settings.max_requests, settings.client_requests, lambda reason: self.refused.update([reason])
        )
        self._timeout_s = settings.timeout_s
        self._profile = profile

    def ask(self, client: Client, ids: Ids, score: bool, replica: Replica) -> Waiting:
        """One request, there and back: whether its answer was prefetched. Raises Refused and Late."""
        deadline = self._env.now + self._timeout_s
        yield from self._on_loop()
        if not self._places.take(client.address):
            raise Refused(ASK_AGAIN_S)
        try:
            yield self._env.timeout(self._profile.wire_ms / 2e3)
            prefetched = yield from replica.ask(client, ids, score, deadline)
            yield self._env.timeout(self._profile.wire_ms / 2e3)
            yield from self._on_loop(len(ids) if score else 0)
            return prefetched
        except Overloaded as full:
            raise Refused(full.retry_after_s) from None
        except DeadlineExpired:
            raise Late from None
        finally:
            self._places.give(client.address)

    def _on_loop(self, scored: int = 0) -> Waiting:
        """Half of what the event loop does for a request, and what so many scored tokens add."""
        with self._loop.request() as turn:
            yield turn
            profile = self._profile
            yield self.cores.run(profile.gateway_ms / 2e3 + scored * profile.scored_gateway_ms / 1e3)


class Ways:
    """Which gateway and which replica a session has."""

    def __init__(self, gateways: list[Gateway], replicas: list[Replica]) -> None:
        self._gateways = gateways
        self._replicas = {replica.address: replica for replica in replicas}
        self._ring = Ring(list(self._replicas))

    def replica(self, session: str) -> Replica:
        """The same for each gateway, since they know the same addresses."""
        return self._replicas[self._ring.owner(session)]

    def of(self, session: str, number: int) -> tuple[Gateway, Replica]:
        """A balancer spreads visits over the gateways."""
        return self._gateways[number % len(self._gateways)], self.replica(session)
