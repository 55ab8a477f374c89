"""What things cost on one kind of machine: service times, memory, price."""

import random
from bisect import bisect_left
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

PROFILES = Path(__file__).parent / "profiles"

Milliseconds = Annotated[float, Meta(ge=0)]
Curve = Annotated[tuple[tuple[Annotated[int, Meta(ge=1)], Milliseconds], ...], Meta(min_length=1)]
"""Counts in ascending order, and milliseconds of each; in between and beyond on straight lines."""


class Profile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model on one kind of machine."""

    name: str
    source: str
    """Where the figures come from."""
    measured: bool
    """False: assumed, and said so wherever the profile's figures are shown."""
    cores: Annotated[int, Meta(ge=1)]
    """Of an inference server's machine."""
    threads: Annotated[int, Meta(ge=1)]
    """Of these, how many a forward pass keeps busy."""
    click_ms: Curve
    """A step of so many prompts, one new token each, their answers included."""
    prefill_ms: Curve
    """A step of so many tokens of one prompt."""
    score_ms: Curve
    """A step of so many tokens, each of them described."""
    prefetch_ms: Milliseconds
    """The pass for the likely next tokens of one prompt."""
    cached_ms: Milliseconds
    """A step that answers one prompt from its cached logits: an instant click, but for the way to it and back."""
    spread: Annotated[tuple[Annotated[float, Meta(gt=0)], ...], Meta(min_length=1)]
    """Evenly spaced quantiles of a step's time over its median."""
    server_ms: Milliseconds
    """Processor time of the inference server per request, on its event loop."""
    gateway_ms: Milliseconds
    """Processor time of the gateway per request, on its event loop."""
    wire_ms: Milliseconds
    """What an instant click takes beyond these: sockets, and threads that are woken."""
    asking_ms: Milliseconds = 0.0
    """Processor time per request of a program that plays visitors, where it shares the services' machine."""
    scored_server_ms: Milliseconds = 0.0
    """What each scored token adds to `server_ms`: it is described in the answer."""
    scored_gateway_ms: Milliseconds = 0.0
    """What it adds to `gateway_ms`."""
    scored_asking_ms: Milliseconds = 0.0
    """What it adds to `asking_ms`."""
    token_bytes: Annotated[int, Meta(ge=1)]
    """Cached keys and values of one token."""
    logits_bytes: Annotated[int, Meta(ge=1)]
    """Cached logits of one prompt."""
    replica_price: Annotated[float, Meta(ge=0)]
    """An inference server's machine, per hour, in US dollars; an assumption."""
    gateway_price: Annotated[float, Meta(ge=0)]
    """A gateway's core, per hour, in US dollars; an assumption."""


class Times:
    """How long the next step takes, in seconds."""

    def __init__(self, profile: Profile, chance: random.Random) -> None:
        self.profile = profile
        self._chance = chance

    def click_s(self, prompts: int) -> float:
        return self._varied(at(self.profile.click_ms, prompts))

    def prefill_s(self, tokens: int) -> float:
        return self._varied(at(self.profile.prefill_ms, tokens))

    def score_s(self, tokens: int) -> float:
        return self._varied(at(self.profile.score_ms, tokens))

    def prefetch_s(self) -> float:
        return self._varied(self.profile.prefetch_ms)

    def cached_s(self, prompts: int) -> float:
        return prompts * self.profile.cached_ms / 1e3

    def _varied(self, milliseconds: float) -> float:
        """One draw from the measured spread."""
        place = self._chance.random() * (len(self.profile.spread) - 1)
        low = int(place)
        high = min(low + 1, len(self.profile.spread) - 1)
        factor = self.profile.spread[low] + (place - low) * (self.profile.spread[high] - self.profile.spread[low])
        return factor * milliseconds / 1e3


def at(curve: Curve, count: int) -> float:
    """A curve's value; below its first point that point's."""
    counts = [each for each, _ in curve]
    if count <= counts[0] or len(curve) == 1:
        return curve[0][1]
    (x0, y0), (x1, y1) = list(pairwise(curve))[min(bisect_left(counts, count), len(curve) - 1) - 1]
    return max(0.0, y0 + (y1 - y0) * (count - x0) / (x1 - x0))


def read(path: Path) -> Profile:
    """A profile from its file. Raises msgspec.ValidationError, which names the field."""
    return msgspec.json.decode(path.read_bytes(), type=Profile)
