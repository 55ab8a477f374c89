"""Readers on the event loop of a test, beside services that run there too; those of readers.py have their own thread.

What is waited for here ends at the first failure. A question of session s3 carries a request id that begins with s3-
and ends up in the log of the server that answers.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp
from readers import Answer, ask
from servers import PATIENCE_S

TEXT = "Once upon a time"


@dataclass
class Load:
    """What a load met so far."""

    failures: list[Answer] = field(default_factory=list)
    by_session: Counter[str] = field(default_factory=Counter)

    @property
    def answered(self) -> int:
        """Questions answered so far."""
        return self.by_session.total()

    async def more(self, answers: int) -> None:
        """Waits until that many more questions were answered, or one failed."""
        goal = self.answered + answers
        async with asyncio.timeout(PATIENCE_S):
            while self.answered < goal and not self.failures:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def round(self) -> None:
        """Waits until every session was answered once more, or a question failed."""
        before = dict(self.by_session)
        async with asyncio.timeout(PATIENCE_S):
            while not self.failures and any(self.by_session[name] <= before[name] for name in before):  # noqa: ASYNC110
                await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def under_load(url: str, sessions: int = 8, pause_s: float = 0.01) -> AsyncIterator[Load]:
    """A load on the gateway at a URL, for as long as the context; the sessions are named s0, s1, …"""
    load = Load(by_session=Counter({f"s{number}": 0 for number in range(sessions)}))
    over = asyncio.Event()

    async def one(web: aiohttp.ClientSession, name: str) -> None:
        while not over.is_set():
            answer = await ask(web, url, name, f"{name}-{load.by_session[name]}", TEXT)
            if answer.status == 200:
                load.by_session[name] += 1
            else:
                load.failures.append(answer)
            await asyncio.sleep(pause_s)

    timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
    async with aiohttp.ClientSession(timeout=timeout) as web, asyncio.TaskGroup() as tasks:
        for name in load.by_session:
            tasks.create_task(one(web, name))
        try:
            yield load
        finally:
            over.set()
