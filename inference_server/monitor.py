"""A small port of its own for operators: metrics, and the three probes, over HTTP. Knows no gRPC.

It answers from threads of its own: so it can tell whether the event loop, which has the calls, still turns.
"""

import asyncio
import json
import socket
import socketserver
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import structlog

from inference_server.metrics import Metrics
from inference_server.readiness import Readiness

LIVE_WITHIN_S = 5.0  # the event loop hands its time out in milliseconds
CLIENT_S = 5.0  # a client that says nothing for so long is let go
MOST_AT_ONCE = 8

logger = structlog.get_logger()

Answer = tuple[int, str, bytes]
"""Status, media type, body."""


class Monitor:
    """Serves between start and stop."""

    def __init__(self, readiness: Readiness, metrics: Metrics) -> None:
        self.port = 0
        self._readiness = readiness
        self._metrics = metrics
        self._server: Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self, host: str, port: int) -> None:
        """Listens; port 0 picks a free one. Raises OSError."""
        self._loop = asyncio.get_running_loop()
        self._server = Server((host, port), self._routes())
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.1,), name="monitor", daemon=True).start()

    def stop(self) -> None:
        """Closes the port."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def _routes(self) -> dict[str, Callable[[], Answer]]:
        return {
            "/metrics": lambda: (200, self._metrics.MEDIA_TYPE, self._metrics.text()),
            "/healthz": lambda: probe(self._not_live()),
            "/startupz": lambda: probe(self._readiness.not_started()),
            "/readyz": lambda: probe(self._readiness.not_ready()),
        }

    def _not_live(self) -> str:
        """Why the server needs a restart; empty where it does not."""
        assert self._loop is not None  # noqa: S101 - start has set it
        turn = asyncio.sleep(0)
        try:
            asyncio.run_coroutine_threadsafe(turn, self._loop).result(LIVE_WITHIN_S)
        except TimeoutError:
            return f"the event loop has not turned for {LIVE_WITHIN_S:g} s"
        except RuntimeError:  # it is closed
            turn.close()
            return "the event loop has ended"
        return ""


def probe(fault: str) -> Answer:
    """The answer to a probe: 200, or 503 with the reason."""
    body = {"error": fault, "code": "unavailable"} if fault else {"status": "ok"}
    return 503 if fault else 200, "application/json", json.dumps(body).encode()


class Server(ThreadingHTTPServer):
    """An HTTP server with a bound on its threads: who comes when all are taken is let go at once."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], routes: dict[str, Callable[[], Answer]]) -> None:
        self.routes = routes
        self._free = threading.BoundedSemaphore(MOST_AT_ONCE)
        self.address_family = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)[0][0]
        super().__init__(address, Handler)

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)  # the HTTP server's own would ask the DNS for its name

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread to be had: none will free its place
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        logger.debug("monitor request failed", exc_info=True)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Server
    timeout = CLIENT_S
    server_version = "monitor"
    sys_version = ""

    def do_GET(self) -> None:
        route = self.server.routes.get(self.path.partition("?")[0])
        status, kind, body = route() if route else (404, "text/plain", " ".join(self.server.routes).encode())
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - the base class names it

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
        logger.debug("monitor", request=format % args)
