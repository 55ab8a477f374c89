"""A small port of its own for operators: metrics, and the three probes, over HTTP. Knows no gRPC.

It answers from outside the event loop that has the calls: so it can tell whether that loop still turns.
"""

import asyncio
import json
from collections.abc import Callable

from inference_server.ops.http_listener import Answer, Asked, HttpListener
from inference_server.ops.metrics import Metrics
from inference_server.ops.readiness import Readiness
from service_kit.hosts import answers_to

LIVE_WITHIN_S = 5.0  # the event loop hands its time out in milliseconds

NO_HOST = "a request has one Host header"
WRONG_HOST = (
    "this port listens on loopback, and answers under the names localhost, 127.0.0.1 and [::1] alone;"
    " NEXTTOKEN_METRICS_HOST can bind it to an address that has others"
)


class AdminServer:
    """Serves between start and stop."""

    def __init__(self, readiness: Readiness, metrics: Metrics) -> None:
        self.live_within_s = LIVE_WITHIN_S  # the event loop must turn within it
        self._readiness = readiness
        self._metrics = metrics
        self._listener = HttpListener(self._answer)
        self._bound = ""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._probes: dict[str, Callable[[], str]] = {
            "/startupz": readiness.not_started,
            "/readyz": readiness.not_ready,
        }

    @property
    def port(self) -> int:
        return self._listener.port

    def start(self, host: str, port: int) -> None:
        """Listens, and watches over the event loop it is called on; port 0 picks a free one. Raises OSError."""
        self._loop, self._bound = asyncio.get_running_loop(), host
        self._listener.start(host, port)

    def stop(self) -> None:
        """Closes the port."""
        self._listener.stop()

    async def _answer(self, asked: Asked) -> Answer:
        if len(asked.hosts) != 1:
            return refusal(400, NO_HOST, "invalid_argument")
        if not answers_to(asked.hosts[0], self._bound, ()):
            return refusal(421, WRONG_HOST, "misdirected_request")
        path = asked.target.partition("?")[0]
        if asked.method not in ("GET", "HEAD"):
            return refusal(405, "this port takes GET and HEAD", "method_not_allowed")
        if path == "/metrics":
            return Answer(200, self._metrics.MEDIA_TYPE, self._metrics.text())
        if path == "/healthz":
            return probe(await self._not_live())
        if path in self._probes:
            return probe(self._probes[path]())
        return refusal(404, " ".join(("this port has", "/metrics", "/healthz", *self._probes)), "not_found")

    async def _not_live(self) -> str:
        """Why the server needs a restart; empty where it does not."""
        assert self._loop is not None  # noqa: S101 - start has set it
        turn = asyncio.sleep(0)
        try:
            turned = asyncio.run_coroutine_threadsafe(turn, self._loop)
        except RuntimeError:  # it is closed
            turn.close()
            return "the event loop has ended"
        try:
            async with asyncio.timeout(self.live_within_s):
                await asyncio.wrap_future(turned)
        except TimeoutError:
            return f"the event loop has not turned for {self.live_within_s:g} s"
        return ""


def probe(fault: str) -> Answer:
    """The answer to a probe: 200, or 503 with the reason."""
    return refusal(503, fault, "unavailable") if fault else Answer(200, "application/json", b'{"status": "ok"}')


def refusal(status: int, words: str, code: str) -> Answer:
    """Why there is no other answer."""
    return Answer(status, "application/json", json.dumps({"error": words, "code": code}).encode())
