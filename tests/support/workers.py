"""Executors for tests of the scheduler, whose every step the test decides.

`Bench` computes nothing until told, `Steps` takes many turns; both remember what they were asked."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from inference_server.errors import InvalidField
from inference_server.messages import NOBODY, Client
from inference_server.scheduler.scheduler import Scheduler
from inference_server.sequence import Limits, Permit, Sequence

PATIENCE_S = 20.0  # bounds a wait for something that must happen; no test depends on its value


class FakeExecutor:
    """Has no cache, and computes every sequence of a step by calling `compute` with what stands for their prompts."""

    def __init__(self, name: str, compute: Callable[[list[Any]], list[Any]], batched: bool = True) -> None:
        """`compute` answers prompts in order; with None, one that goes on."""
        self.name = name
        self.batched = batched
        self.limits = Limits(100, 100)
        self._compute = compute

    def sequence(self, prompt: Any, permit: Permit | None = None, deadline: float | None = None) -> Sequence[Any]:
        """A sequence of one token, which stands for any prompt."""

        def describe(_: Sequence[Any], answer: Any) -> list[Any]:
            return [answer]

        return Sequence((prompt,), self, describe, permit or Permit(), deadline)

    def recall(self, _: Sequence[Any]) -> Callable[[], object] | None:
        return None

    def match(self, sequences: list[Sequence[Any]]) -> list[Sequence[Any]]:
        return sequences

    def execute(self, batch: list[tuple[Sequence[Any], int]]) -> None:
        answers = self._compute([sequence.token_ids[0] for sequence, _ in batch])
        for (sequence, _), answer in zip(batch, answers, strict=True):
            if answer is not None:
                sequence.receive(answer)

    def release(self) -> None:
        pass


class Bench(FakeExecutor):
    """A model for str prompts, answered in capitals; those that hold `bad` fail, alone or with others."""

    def __init__(self, scheduler: Scheduler, name: str = "bench", batched: bool = True) -> None:
        super().__init__(name, self._answers, batched)
        self.scheduler = scheduler
        self.batches: list[list[str]] = []
        self.entered = threading.Semaphore(0)
        self._permits = threading.Semaphore(0)
        self.free = False  # whether it computes without permits
        self.cached: set[str] = set()  # answered without computing
        self.recalling = threading.Semaphore(0)  # counts answers that have begun beside the worker
        self.recall_permits: threading.Semaphore | None = None  # if set, what such an answer waits for
        self.beside: Callable[[], object] = lambda: None  # what such an answer computes

    def _answers(self, queries: list[str]) -> list[str]:
        self.batches.append(queries)
        self.entered.release()
        if not self.free:
            assert self._permits.acquire(timeout=PATIENCE_S)
        if any("panic" in query for query in queries):
            raise BaseException("a native library panicked")
        if any("refused" in query for query in queries):
            raise InvalidField("text", "refused")
        if any("bad" in query for query in queries):
            raise ValueError("secret internals")
        return [query.upper() for query in queries]

    def match(self, sequences: list[Sequence[Any]]) -> list[Sequence[Any]]:
        for sequence in sequences:
            prompt: Any = sequence.token_ids[0]
            if prompt in self.cached:
                sequence.receive(prompt.upper())
        return [sequence for sequence in sequences if not sequence.done]

    def recall(self, sequence: Sequence[Any]) -> Callable[[], object] | None:
        prompt: Any = sequence.token_ids[0]
        if prompt not in self.cached:
            return None

        def answer() -> None:
            self.recalling.release()
            if self.recall_permits is not None:
                assert self.recall_permits.acquire(timeout=PATIENCE_S)
            if "refused" in prompt:
                raise InvalidField("text", "refused")
            self.beside()
            sequence.receive(prompt.upper())

        return answer

    def permit(self, calls: int = 1) -> None:
        """Lets that many computations end."""
        for _ in range(calls):
            self._permits.release()

    async def computing(self) -> None:
        """Returns once one more computation has begun."""
        assert await asyncio.to_thread(self.entered.acquire, timeout=PATIENCE_S)

    async def ask(self, query: str, deadline: float | None = None, client: Client = NOBODY) -> Sequence[str]:
        """A sequence, once it is done."""
        with self.scheduler.admit(client) as permit:
            sequence = self.sequence(query, permit, deadline)
            await self.scheduler.run_or_recall(sequence)
        return sequence

    def begin(
        self, query: str, deadline: float | None = None, client: Client = NOBODY
    ) -> "asyncio.Task[Sequence[str]]":
        return asyncio.create_task(self.ask(query, deadline, client))

    async def occupied(self, client: Client = NOBODY) -> "asyncio.Task[Sequence[str]]":
        """A request that the worker is busy with until permitted."""
        task = self.begin("first", client=client)
        await self.computing()
        return task


class Steps(FakeExecutor):
    """A model whose prompts are how many steps they take; remembers the steps left at each step."""

    def __init__(self, scheduler: Scheduler) -> None:
        super().__init__("steps", self._answers)
        self.scheduler = scheduler
        self.batches: list[list[int]] = []
        self.hold: threading.Event | None = None

    def _answers(self, left: list[list[int]]) -> list[str | None]:
        self.batches.append([each[0] for each in left])
        if self.hold is not None:
            assert self.hold.wait(PATIENCE_S)
        for each in left:
            if each[0] == 13:
                raise ValueError("bad step")
            each[0] -= 1
        return [None if each[0] else "done" for each in left]

    async def ask(self, steps: int) -> Sequence[str]:
        """A sequence, once it is done."""
        with self.scheduler.admit() as permit:
            sequence = self.sequence([steps], permit)
            await self.scheduler.run(sequence)
        return sequence


class Spare:
    """Work in idle time that takes until it is let go."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.begun, self.go = threading.Event(), threading.Event()
        self.let_go = False
        scheduler.when_idle(self._work)

    def _work(self) -> bool:
        self.begun.set()
        self.let_go = self.go.wait(PATIENCE_S)
        return False


async def until(condition: Callable[[], bool]) -> None:
    """Waits for what another thread brings about."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110  the other thread knows no asyncio.Event
            await asyncio.sleep(0.001)


async def settled() -> None:
    """Lets every task run as far as it can by itself."""
    for _ in range(5):
        await asyncio.sleep(0)


async def answers(*tasks: Awaitable[Sequence[str]]) -> list[str]:
    return [(await task).outputs[0] for task in tasks]
