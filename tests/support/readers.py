"""Readers of a gateway: each is a session that asks, waits for the answer, thinks a moment and asks again.

So the load is bounded by the number of readers, whatever the services do. They run beside the test, in a thread; those
of load.py run on a test's event loop.
"""

import asyncio
import contextlib
import itertools
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import aiohttp
from containers import Container

ANSWERED_WITHIN_S = 60.0  # longer than the gateway's own limit: its answer is what counts


@dataclass(frozen=True)
class Answer:
    """How one request ended; status 0: the gateway itself could not be reached, or said nothing."""

    session: str
    request_id: str
    status: int
    seconds: float
    ended: float
    """time.monotonic()"""
    retry_after: str = ""
    body: str = ""
    """Of a failure."""


class Readers:
    """What they asked and got so far, in the order in which it ended."""

    def __init__(self, url: str, count: int, think_s: float, text: str) -> None:
        self.url = url
        self.names = [f"reader-{number:02}" for number in range(count)]
        self.answers: list[Answer] = []
        self._think_s = think_s
        self._text = text
        self._over = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._read()), name="readers")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Lets every question under way end."""
        self._over.set()
        self._thread.join()

    def failures(self) -> list[Answer]:
        """What did not end with 200."""
        return [answer for answer in list(self.answers) if answer.status != 200]

    def since(self, moment: float) -> list[Answer]:
        """What was asked and answered after a moment of time.monotonic()."""
        return [answer for answer in list(self.answers) if answer.ended - answer.seconds >= moment]

    def everyone(self, times: int = 2, after: float | None = None) -> list[Answer]:
        """Waits until each reader was answered so often with 200 after a moment, or now; those answers."""
        begun = time.monotonic() if after is None else after
        limit = time.monotonic() + ANSWERED_WITHIN_S * times
        while True:
            fresh = [answer for answer in self.since(begun) if answer.status == 200]
            counts = Counter(answer.session for answer in fresh)
            if all(counts[name] >= times for name in self.names):
                return fresh
            assert time.monotonic() < limit, f"some readers get no answers: {counts}; {self.failures()[-3:]}"
            time.sleep(0.05)

    async def _read(self) -> None:
        timeout = aiohttp.ClientTimeout(total=ANSWERED_WITHIN_S)
        async with aiohttp.ClientSession(timeout=timeout) as web:
            await asyncio.gather(*(self._one(web, name, at) for at, name in enumerate(self.names)))

    async def _one(self, web: aiohttp.ClientSession, name: str, at: int) -> None:
        await asyncio.sleep(self._think_s * at / len(self.names))  # not all at once
        for number in itertools.count():
            if self._over.is_set():
                return
            self.answers.append(await ask(web, self.url, name, f"{name}-{id(self):x}-{number}", self._text))
            await asyncio.sleep(self._think_s)


async def ask(web: aiohttp.ClientSession, url: str, session: str, request_id: str, text: str) -> Answer:
    """One question to the bundled model, as the page asks it."""
    began = time.monotonic()
    status, retry_after, body = 0, "", ""
    headers = {"x-session": session, "x-request-id": request_id}
    query = {"text": f"{session} says: {text}", "top_k": 5, "model": "bundled"}
    try:
        async with web.post(f"{url}/api/next-token", json=query, headers=headers) as response:
            body = await response.text()
            status, retry_after = response.status, response.headers.get("retry-after", "")
    except (aiohttp.ClientError, TimeoutError) as error:
        body = repr(error)
    ended = time.monotonic()
    return Answer(session, request_id, status, ended - began, ended, retry_after, "" if status == 200 else body)


@contextlib.contextmanager
def readers(url: str, count: int = 24, think_s: float = 0.4, text: str = "Once upon a time") -> Iterator[Readers]:
    """That many readers, who stop at the end."""
    reading = Readers(url, count, think_s, text)
    reading.start()
    try:
        yield reading
    finally:
        reading.stop()


def answered_by(answers: Sequence[Answer], replicas: Sequence[Container]) -> dict[str, set[str]]:
    """session → ids of the containers whose logs have its requests."""
    by_request = {
        str(entry["request_id"]): replica.id
        for replica in replicas
        for entry in replica.log()
        if entry.get("event") == "call" and entry.get("code") == "OK"
    }
    found: dict[str, set[str]] = defaultdict(set)
    for answer in answers:
        found[answer.session].add(by_request[answer.request_id])
    return dict(found)
