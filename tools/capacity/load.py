"""What visitors do: described by a few numbers, played from a seed."""

import itertools
import math
import random
from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta, Struct

Kind = Literal["open", "click", "type", "score"]
Share = Annotated[float, Meta(ge=0, le=1)]

BARS = 10  # shown, so that a click is on one of them
FIRST = BARS  # ids from here on are other text
IDS = 40_000
STEEP = 0.75  # each bar is clicked so many times as often as the one above it
CLICKED = tuple(itertools.accumulate(STEEP**bar for bar in range(BARS)))


class Load(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One visit and how many there are. Lengths and pauses are means."""

    visits_per_day: Annotated[int, Meta(ge=1)] = 1000
    """A daily user is one visit."""
    busiest_hour: Share = 0.12
    """The share of a day's visits in its busiest hour."""
    clicks: Annotated[float, Meta(ge=1)] = 24
    """Steps after the opening."""
    think_s: Annotated[float, Meta(gt=0)] = 6.0
    """Before each."""
    open_minutes: Annotated[float, Meta(gt=0)] = 10.0
    """How long the page stays open, which is what holds connections."""
    prompt_tokens: Annotated[int, Meta(ge=1)] = 40
    shared: Share = 0.3
    """The share of visits that begin with one of the shared openings, such as the page's examples."""
    openings: Annotated[int, Meta(ge=1)] = 12
    typed: Share = 0.1
    """The share of steps that type some tokens instead of clicking a bar."""
    typed_tokens: Annotated[int, Meta(ge=1)] = 5
    scored: Share = 0.02
    """The share of steps that have the whole text scored."""
    visitors_per_address: Annotated[int, Meta(ge=1)] = 1

    @property
    def visits_per_s(self) -> float:
        """In the busiest hour."""
        return self.visits_per_day * self.busiest_hour / 3600

    @property
    def requests_per_s(self) -> float:
        """In the busiest hour."""
        return self.visits_per_s * (1 + self.clicks)

    @property
    def visit_s(self) -> float:
        """From the first request to the last, at least."""
        return self.clicks * self.think_s

    @property
    def open_pages(self) -> float:
        """In the busiest hour."""
        return self.visits_per_s * max(self.visit_s, self.open_minutes * 60)


@dataclass(frozen=True, slots=True)
class Action:
    """One request of a visit."""

    kind: Kind
    think_s: float
    bar: int = 0
    """Which one is clicked."""
    tokens: tuple[int, ...] = ()
    """What is typed."""


@dataclass(frozen=True, slots=True)
class Visit:
    """Who comes, from where, and does what."""

    session: str
    address: str
    actions: tuple[Action, ...]


def visit(load: Load, seed: int, number: int) -> Visit:
    """The visit of that number; the same for the same seed."""
    chance = random.Random(f"{seed}-{number}")
    if chance.random() < load.shared:
        opening = _text(random.Random(f"{seed}-opening-{chance.randrange(load.openings)}"), load.prompt_tokens)
    else:
        opening = _text(chance, load.prompt_tokens)
    clicks = max(1, round(chance.expovariate(1 / load.clicks)))
    first = Action("open", 0.0, tokens=opening)
    actions = (first, *(_action(load, chance) for _ in range(clicks)))
    return Visit(session(seed, number), f"address-{number // load.visitors_per_address}", actions)


def session(seed: int, number: int) -> str:
    """The name of a visit's session."""
    return f"visit-{seed}-{number}"


def arrivals(per_s: float, seed: int) -> Iterator[float]:
    """Pauses between visits, without end."""
    chance = random.Random(f"{seed}-arrivals")
    return (chance.expovariate(per_s) for _ in itertools.count())


def extended(ids: tuple[int, ...], action: Action) -> tuple[int, ...]:
    """The text after an action. A bar's token is told by its place alone."""
    return (*ids, action.bar) if action.kind == "click" else (*ids, *action.tokens)


def _action(load: Load, chance: random.Random) -> Action:
    think_s = chance.expovariate(1 / load.think_s)
    place = chance.random()
    if place < load.scored:
        return Action("score", think_s)
    if place < load.scored + load.typed:
        return Action("type", think_s, tokens=_some(chance, load.typed_tokens))
    return Action("click", think_s, bar=bisect(CLICKED, chance.random() * CLICKED[-1]))


def _text(chance: random.Random, mean: int) -> tuple[int, ...]:
    """Between a third and three times the mean, most of them shorter."""
    length = mean * math.exp(chance.gauss(-0.18, 0.6))
    return _some(chance, max(1, round(min(3 * mean, max(mean / 3, length)))))


def _some(chance: random.Random, count: int) -> tuple[int, ...]:
    return tuple(FIRST + int(chance.random() * (IDS - FIRST)) for _ in range(count))
