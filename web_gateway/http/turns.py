"""Shares the event loop fairly between clients, however many connections each has."""

import asyncio
from collections import deque
from collections.abc import Callable

Work = Callable[[], object]


class Turns:
    """Each client gets one turn per iteration of the event loop; its other work waits for the next."""

    def __init__(self) -> None:
        self._served: set[str] = set()
        self._waiting: dict[str, deque[Work]] = {}

    def take(self, client: str | None, work: Work) -> None:
        """Runs the work in the client's next turn, possibly now. None: a proxy for many clients, never waits."""
        if client is None:
            work()
        elif client in self._served:
            self._waiting.setdefault(client, deque()).append(work)
        else:
            self._serve(client, work)

    def _serve(self, client: str, work: Work) -> None:
        if not self._served:
            asyncio.get_running_loop().call_soon(self._next_iteration)
        self._served.add(client)
        work()

    def _next_iteration(self) -> None:
        self._served.clear()
        for client, queue in list(self._waiting.items()):
            work = queue.popleft()
            if not queue:
                del self._waiting[client]
            try:
                self._serve(client, work)
            except Exception as error:
                context = {"message": "a connection's turn failed", "exception": error}
                asyncio.get_running_loop().call_exception_handler(context)
