"""How far a generation has come, and the request for the rest of it."""

from nexttoken.v1 import next_token_pb2 as pb

from next_token_visualizer.events import GenerateEvent


class Progress:
    """One `Generate` stream."""

    def __init__(self, request: pb.GenerateRequest) -> None:
        self._request = request
        self._start: pb.GenerateStart | None = None
        self._open = {each.index: list(each.token_ids) for each in request.resume}
        if not self._open:
            self._open = {index: [] for index in range(request.n or 1)}

    def note(self, event: GenerateEvent) -> None:
        """Remembers an event."""
        match event:
            case pb.GenerateStart():
                self._start = event
            case pb.GeneratedToken():
                self._open[event.index].append(event.token.token.token_id)
            case pb.GenerateFinish():
                del self._open[event.index]

    @property
    def complete(self) -> bool:
        """Whether every continuation has ended."""
        return not self._open

    def rest(self) -> pb.GenerateRequest | None:
        """The same request for what has not come: with the ids and the seed of its start. None before that."""
        if self._start is None:
            return None
        request = pb.GenerateRequest()
        request.CopyFrom(self._request)
        request.model, request.seed = self._start.model, self._start.seed
        request.token_ids.CopyFrom(pb.TokenIds(ids=self._start.token_ids))
        del request.resume[:]
        request.resume.extend(pb.GeneratedSoFar(index=index, token_ids=ids) for index, ids in self._open.items())
        return request
