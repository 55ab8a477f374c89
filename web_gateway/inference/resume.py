"""Goes on with a broken Generate or Grow stream: what it had given, and the request for the rest."""

import time
from typing import Any, Protocol

import structlog
from msgspec import Struct
from nexttoken.v1 import next_token_pb2 as pb

from web_gateway.errors import BrokenOff, GatewayError
from web_gateway.generate_messages import GeneratedToken, GenerateFinish, GenerateStart
from web_gateway.grow_messages import GrowFinish, GrownMass, GrownNode, GrowStart

PATIENCE_S = 10.0  # without a new event, however often the call was tried again
PAUSE_S = 0.2  # between two tries

UNLIKE = "the server stopped, and the tree of another one differs within rounding; ask again"

logger = structlog.get_logger()


class Progress(Protocol):
    """One answer, over as many RPCs as it takes. None of its events is given twice, and none is lost."""

    request: Any
    """What to ask now."""

    def takes(self, event: Struct) -> bool:
        """Remembers an event; says whether it is new, unlike the start of a stream that goes on."""
        ...

    @property
    def complete(self) -> bool:
        """Whether nothing is left to ask."""
        ...

    def go_on(self, error: GatewayError) -> None:
        """Prepares the request for the rest. Raises the error if nothing had come, or nothing new for too long."""
        ...


class Generation:
    """The continuations of a prompt: what goes on is asked for from its ids."""

    def __init__(self, request: pb.GenerateRequest) -> None:
        self.request = request
        self._started = False
        self._open: dict[int, list[int]] = {index: [] for index in range(request.n or 1)}
        self._asked = {each.index for each in request.resume}
        for each in request.resume:
            self._open[each.index] = list(each.token_ids)
        self._advanced = time.monotonic()

    def takes(self, event: Struct) -> bool:
        """As Progress.takes."""
        self._advanced = time.monotonic()
        match event:
            case GenerateStart():
                if self._started:
                    return False
                self._begin(event)
            case GeneratedToken():
                self._open[event.index].append(event.token.token_id)
            case GenerateFinish():
                del self._open[event.index]
        return True

    @property
    def complete(self) -> bool:
        """As Progress.complete: every continuation has ended."""
        return self._started and not self._open

    def go_on(self, error: GatewayError) -> None:
        """As Progress.go_on."""
        if not self._started or time.monotonic() - self._advanced > PATIENCE_S:
            raise error
        del self.request.resume[:]
        self.request.resume.extend(
            pb.GeneratedSoFar(index=index, token_ids=token_ids) for index, token_ids in self._open.items()
        )
        count = sum(map(len, self._open.values()))
        logger.warning("resuming a broken stream", continuations=len(self._open), tokens=count, reason=str(error))

    def _begin(self, start: GenerateStart) -> None:
        """From now on the call is about these ids and draws, whatever server answers."""
        self._started = True
        if self._asked:
            self._open = {index: ids for index, ids in self._open.items() if index in self._asked}
        self.request.model = start.model
        self.request.token_ids.CopyFrom(pb.TokenIds(ids=start.token_ids))
        self.request.seed = start.seed


class Growth:
    """A tree, which is the same on every server: it is asked for again, and what has been given is left out."""

    def __init__(self, request: pb.GrowRequest) -> None:
        self.request = request
        self.complete = False
        self._started = False
        self._nodes: list[tuple[int, int]] = []  # parent and token, by id
        self._repeating = False
        self._advanced = time.monotonic()

    def takes(self, event: Struct) -> bool:
        """As Progress.takes. Raises BrokenOff if a tree that is grown again differs from what has been given."""
        self._advanced = time.monotonic()
        match event:
            case GrowStart() if self._started:
                return False
            case GrowStart():
                self._started = True
                self.request.model = event.model
                self.request.token_ids.CopyFrom(pb.TokenIds(ids=event.token_ids))
            case GrownNode():
                return self._joins(event.id, (event.parent, event.token.token_id))
            case GrownMass():
                return not self._repeating
            case GrowFinish():
                if event.node_count != len(self._nodes):
                    raise self._broken(UNLIKE)
                self.complete = True
        return True

    def go_on(self, error: GatewayError) -> None:
        """As Progress.go_on; the error says how far the tree came."""
        if not self._started or isinstance(error, BrokenOff):
            raise error
        if time.monotonic() - self._advanced > PATIENCE_S:
            raise self._broken(str(error)) from error
        self._repeating = True
        logger.warning("growing a broken tree again", nodes=len(self._nodes), reason=str(error))

    def _joins(self, number: int, node: tuple[int, int]) -> bool:
        if number > len(self._nodes):
            self._repeating = False
            self._nodes.append(node)
            return True
        if self._nodes[number - 1] != node:
            raise self._broken(UNLIKE)
        return False

    def _broken(self, why: str) -> BrokenOff:
        return BrokenOff(f"{why} (broken off after {len(self._nodes):,} nodes)")
