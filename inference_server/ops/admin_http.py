"""The admin port: metrics and probes over HTTP, served outside the gRPC event loop so that it can check that loop."""

import asyncio
import json
from collections.abc import Callable

from inference_server.ops.http_listener import HttpListener, Request, Response
from inference_server.ops.metrics import Metrics
from inference_server.ops.readiness import Readiness
from service_kit.hosts import answers_to

LIVE_WITHIN_S = 5.0

NO_HOST = "a request must have exactly one Host header"
WRONG_HOST = (
    "this port is bound to loopback and answers only to localhost, 127.0.0.1 and [::1];"
    " set NEXTTOKEN_METRICS_HOST to bind it to another address"
)


class AdminServer:
    """The routes of the admin port."""

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
        """Starts listening and monitors the calling event loop; port 0 picks a free port. Raises OSError."""
        self._loop, self._bound = asyncio.get_running_loop(), host
        self._listener.start(host, port)

    def stop(self) -> None:
        self._listener.stop()

    async def _answer(self, request: Request) -> Response:
        if len(request.hosts) != 1:
            return error(400, NO_HOST, "invalid_argument")
        if not answers_to(request.hosts[0], self._bound, ()):
            return error(421, WRONG_HOST, "misdirected_request")
        path = request.target.partition("?")[0]
        if request.method not in ("GET", "HEAD"):
            return error(405, "only GET and HEAD are allowed", "method_not_allowed")
        if path == "/metrics":
            return Response(200, self._metrics.MEDIA_TYPE, self._metrics.text())
        if path == "/healthz":
            return probe(await self._not_live())
        if path in self._probes:
            return probe(self._probes[path]())
        return error(404, " ".join(("not found; try", "/metrics", "/healthz", *self._probes)), "not_found")

    async def _not_live(self) -> str:
        """Why the server needs a restart; empty if it does not."""
        assert self._loop is not None  # noqa: S101 - set by start
        tick = asyncio.sleep(0)
        try:
            ticked = asyncio.run_coroutine_threadsafe(tick, self._loop)
        except RuntimeError:  # closed
            tick.close()
            return "the event loop is closed"
        try:
            async with asyncio.timeout(self.live_within_s):
                await asyncio.wrap_future(ticked)
        except TimeoutError:
            return f"the event loop has been blocked for {self.live_within_s:g} s"
        return ""


def probe(fault: str) -> Response:
    """200, or 503 with the reason."""
    return error(503, fault, "unavailable") if fault else Response(200, "application/json", b'{"status": "ok"}')


def error(status: int, message: str, code: str) -> Response:
    """The same JSON shape as the gateway's errors."""
    return Response(status, "application/json", json.dumps({"error": message, "code": code}).encode())
