"""Shares the event loop between clients, so that one with many connections takes no more of it than another."""

import asyncio
from collections import deque
from collections.abc import Callable

Work = Callable[[], object]


class Turns:
    """Each client gets one turn in each iteration of the event loop; further work of theirs waits for the next one."""

    def __init__(self) -> None:
        self._served: set[str] = set()
        self._waiting: dict[str, deque[Work]] = {}

    def take(self, client: str | None, work: Work) -> None:
        """Does the work in the client's next turn, which may be now. None: a proxy, which speaks for many clients."""
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
