"""The sequences of one request that takes many, and what they cost together."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from inference_server.messages import Timings
from inference_server.scheduler.scheduler import Scheduler
from inference_server.sequence import Executor, Ids, Permit, Sequence

T = TypeVar("T")


class Computing:
    """Runs sequences of one request, one or several at a time, on one permit."""

    def __init__(self, executor: Executor, scheduler: Scheduler, permit: Permit, deadline: float | None) -> None:
        self._executor = executor
        self._scheduler = scheduler
        self._permit = permit
        self._deadline = deadline
        self._queue_s = self._model_s = 0.0
        self.tokens = 0
        """Computed so far, those of sequences that were dropped included."""

    async def run(self, ids: Ids, describe: Callable[[Sequence[T], Any], Iterable[T]], **how: Any) -> list[T]:
        """The outputs of one sequence, once it is done; `how` as for Sequence. Raises as Scheduler.run."""
        sequence = Sequence(ids, self._executor, describe, self._permit, self._deadline, prefetch=False, **how)
        try:
            await self._scheduler.run(sequence)
        finally:
            self._queue_s += sequence.queue_s
            self._model_s += sequence.share_s
            self.tokens += sequence.num_computed_tokens
        return sequence.outputs

    def timings(self, tokenize_s: float, total_s: float) -> Timings:
        """The whole request's; `model` is its share of the steps."""
        return Timings(self._queue_s * 1000, tokenize_s * 1000, self._model_s * 1000, total_s * 1000)
