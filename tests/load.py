"""A bounded load on a gateway: some sessions, each asking one question after the other, and what became of them.

A question of session s3 carries a request id that begins with s3- and ends up in the log of the server that answers.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
from servers import PATIENCE_S


@dataclass
class Load:
    """What a load met so far."""

    answered: int = 0
    failures: list[str] = field(default_factory=list)
    by_session: Counter[str] = field(default_factory=Counter)

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
async def under_load(url: str, sessions: int = 8, pause_s: float = 0.01, **question: Any) -> AsyncIterator[Load]:
    """A load on the gateway at a URL, for as long as the context; the sessions are named s0, s1, …"""
    load = Load(by_session=Counter({f"s{number}": 0 for number in range(sessions)}))
    body = {"text": "Once upon a time", "top_k": 3} | question
    limits = httpx.Limits(max_connections=sessions, max_keepalive_connections=sessions)
    over = asyncio.Event()

    async def ask(web: httpx.AsyncClient, name: str) -> None:
        while not over.is_set():
            try:
                headers = {"x-session": name, "x-request-id": f"{name}-{load.by_session[name]}"}
                answer = await web.post("/api/next-token", json=body, headers=headers)
            except httpx.HTTPError as error:
                load.failures.append(repr(error))
                await asyncio.sleep(pause_s)
                continue
            if answer.status_code == 200:
                load.answered += 1
                load.by_session[name] += 1
            else:
                load.failures.append(f"{answer.status_code} {answer.text}")
            await asyncio.sleep(pause_s)

    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=PATIENCE_S) as web, asyncio.TaskGroup() as tasks:
        for name in load.by_session:
            tasks.create_task(ask(web, name))
        try:
            yield load
        finally:
            over.set()
