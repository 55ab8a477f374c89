"""Goes on with a broken Generate stream: what it had given, and the request for the rest."""

import time

import structlog
from msgspec import Struct
from nexttoken.v1 import next_token_pb2 as pb

from web_gateway.errors import GatewayError
from web_gateway.generate_messages import GeneratedToken, GenerateFinish, GenerateStart

PATIENCE_S = 10.0  # without a new event, however often the call was tried again
PAUSE_S = 0.2  # between two tries

logger = structlog.get_logger()


class Progress:
    """One generation, over as many RPCs as it takes. None of its events is given twice, and none is lost."""

    def __init__(self, request: pb.GenerateRequest) -> None:
        self.request = request
        """What to ask now."""
        self._started = False
        self._open: dict[int, list[int]] = {index: [] for index in range(request.n or 1)}
        self._asked = {each.index for each in request.resume}
        for each in request.resume:
            self._open[each.index] = list(each.token_ids)
        self._advanced = time.monotonic()

    def takes(self, event: Struct) -> bool:
        """Remembers an event; says whether it is new, unlike the start of a stream that goes on."""
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
        """Whether every continuation has ended."""
        return self._started and not self._open

    def go_on(self, error: GatewayError) -> None:
        """Prepares the request for the rest. Raises the error if nothing had come, or nothing new for too long."""
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
