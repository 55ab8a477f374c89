"""Lanes for tests of the scheduler, whose every step the test decides.

`Bench` computes nothing until told, `Steps` takes many turns; both remember what they were asked."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence

from inference_server.errors import InvalidField
from inference_server.messages import NOBODY, Client
from inference_server.scheduler.queue import Lane, Outcome
from inference_server.scheduler.scheduler import Scheduler

PATIENCE_S = 20.0  # bounds a wait for something that must happen; no test depends on its value


class Bench:
    """A lane for str queries, answered in capitals; those that hold `bad` fail, alone or with others."""

    def __init__(self, scheduler: Scheduler, name: str = "bench", batched: bool = True) -> None:
        self.scheduler = scheduler
        self.lane: Lane[str, str] = Lane(name, self._compute, batched)
        self.batches: list[list[str]] = []
        self.entered = threading.Semaphore(0)
        self._permits = threading.Semaphore(0)
        self.free = False  # whether it computes without permits

    def _compute(self, queries: Sequence[str]) -> list[str]:
        self.batches.append(list(queries))
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

    def permit(self, calls: int = 1) -> None:
        """Lets that many computations end."""
        for _ in range(calls):
            self._permits.release()

    async def computing(self) -> None:
        """Returns once one more computation has begun."""
        assert await asyncio.to_thread(self.entered.acquire, timeout=PATIENCE_S)

    async def ask(
        self, query: str, tokens: int = 1, deadline: float | None = None, client: Client = NOBODY
    ) -> Outcome[str]:
        with self.scheduler.admit(client) as slot:
            return await self.scheduler.run(slot, self.lane, query, tokens, deadline)

    def begin(
        self, query: str, tokens: int = 1, deadline: float | None = None, client: Client = NOBODY
    ) -> "asyncio.Task[Outcome[str]]":
        return asyncio.create_task(self.ask(query, tokens, deadline, client))

    async def occupied(self, client: Client = NOBODY) -> "asyncio.Task[Outcome[str]]":
        """A request that the worker is busy with until permitted."""
        task = self.begin("first", client=client)
        await self.computing()
        return task


class Steps:
    """A lane whose queries are numbers of steps; remembers the batches of each step."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.lane: Lane[list[int], str] = Lane("steps", self._compute, batched=True)
        self.batches: list[list[int]] = []
        self.hold: threading.Event | None = None

    def _compute(self, queries: Sequence[list[int]]) -> list[str | None]:
        self.batches.append([query[0] for query in queries])
        if self.hold is not None:
            assert self.hold.wait(PATIENCE_S)
        for query in queries:
            if query[0] == 13:
                raise ValueError("bad step")
            query[0] -= 1
        return [None if query[0] else "done" for query in queries]

    async def ask(self, steps: int) -> Outcome[str]:
        with self.scheduler.admit() as slot:
            return await self.scheduler.run(slot, self.lane, [steps], 1, None)


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


async def answers(*tasks: Awaitable[Outcome[str]]) -> list[str]:
    return [(await task).answer for task in tasks]
