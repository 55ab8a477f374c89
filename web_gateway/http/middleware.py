"""ASGI middleware: request ids, logging and metrics, security headers, cancellation on disconnect."""

import asyncio
import time
from collections.abc import Iterable

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service_kit import tracing
from service_kit.logs import request_id, usable_id
from web_gateway import errors
from web_gateway.http.client_address import UNNAMED, visitor_of
from web_gateway.inference.call import Call
from web_gateway.inference.channel_options import SESSION_KEY
from web_gateway.inference.client import REQUEST_ID_KEY
from web_gateway.metrics import Metrics

CLIENT_DISCONNECTED = 499  # only recorded, never sent
CHUNK_BYTES = 2**16  # uvicorn waits for the client while more than this is unsent
POLLED = frozenset({"/healthz", "/startupz", "/readyz", "/metrics"})

NOBODY = "'none'"
POLICY = (
    "default-src 'self'",
    "img-src 'self' data: blob:",
    "style-src 'self'",
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'self'",
)
SECURITY_HEADERS = {
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}

logger = structlog.get_logger()


class Chunked:
    """Sends long bodies in chunks, so a request counts as in flight until the client has read most of its answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_chunks(message: Message) -> None:
            body = message.get("body", b"")
            while len(body) > CHUNK_BYTES:
                await send({"type": "http.response.body", "body": body[:CHUNK_BYTES], "more_body": True})
                body = body[CHUNK_BYTES:]
            await send({**message, "body": body} if "body" in message else message)

        await self.app(scope, receive, send_chunks if scope["type"] == "http" else send)


class SecurityHeaders:
    """Adds security headers to every response."""

    def __init__(self, app: ASGIApp, frame_origins: Iterable[str] = ()) -> None:
        """`frame_origins`: whose pages may show this one in a frame."""
        self.app = app
        origins = " ".join(frame_origins)
        policy = "; ".join((*POLICY, f"frame-ancestors {origins or NOBODY}"))
        self.headers = {**SECURITY_HEADERS, "content-security-policy": policy}
        if not origins:
            self.headers["x-frame-options"] = "DENY"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self.headers)
            await send(message)

        await self.app(scope, receive, send_with_headers if scope["type"] == "http" else send)


class RequestRecord:
    """Gives each request an id and a deadline, and records it in the log, metrics and trace.

    Unexpected exceptions become a generic 500; the log has the cause under the request id.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, timeout_s: float) -> None:
        self.app = app
        self.metrics = metrics
        self.timeout_s = timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.monotonic()
        response_started: float | None = None
        status = CLIENT_DISCONNECTED
        headers = Headers(scope=scope)
        call = Call(
            request_id(headers.get(REQUEST_ID_KEY)),
            started + self.timeout_s,
            session=usable_id(headers.get(SESSION_KEY)),
            address=address_of(scope),
        )
        scope.setdefault("state", {})["call"] = call

        async def send_with_id(message: Message) -> None:
            nonlocal response_started, status
            if message["type"] == "http.response.start":
                response_started, status = time.monotonic(), message["status"]
                MutableHeaders(scope=message)[REQUEST_ID_KEY] = call.request_id
            await send(message)

        polled = scope["path"] in POLLED
        with (
            structlog.contextvars.bound_contextvars(request_id=call.request_id),
            self.metrics.in_flight.track_inprogress(),
            tracing.NOTHING if polled else tracing.span(scope["method"], "SERVER", Headers(scope=scope)) as span,
        ):
            try:
                await self.app(scope, receive, send_with_id)
            except asyncio.CancelledError:
                if response_started is not None:
                    raise
                # Only shutdown cancels a request whose client is still connected, after the grace period.
                await errors.stopping()(scope, receive, send_with_id)
            except Exception:
                logger.exception("unexpected error", method=scope["method"], route=route_of(scope))
                if response_started is not None:
                    raise  # too late for an error response: uvicorn closes the connection
                await errors.internal(call.request_id)(scope, receive, send_with_id)
            finally:
                ended = time.monotonic()
                self.metrics.answered(route_of(scope), scope["method"], status, (response_started or ended) - started)
                log = logger.debug if polled else logger.info
                milliseconds = round((ended - started) * 1000, 1)
                log("request", method=scope["method"], route=route_of(scope), status=status, ms=milliseconds)
                if span is not None:
                    span.update_name(f"{scope['method']} {route_of(scope)}")
                    span.set_attributes({"http.response.status_code": status, "request_id": call.request_id})
                    if status >= 500:
                        tracing.failed(span, str(status))


class CancelOnDisconnect:
    """Cancels a request, and its call to the inference server, when its client disconnects."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        handler = asyncio.current_task()
        assert handler is not None  # noqa: S101 - requests run in tasks
        body_read = asyncio.Event()
        if scope["method"] in ("GET", "HEAD"):
            body_read.set()  # no body to read
        disconnected = False

        async def receive_body() -> Message:
            if body_read.is_set():
                await asyncio.Future()  # watch() receives from now on; it cancels this wait
            message = await receive()
            if not message.get("more_body", False):
                body_read.set()
            return message

        async def watch() -> None:
            nonlocal disconnected
            await body_read.wait()
            while (await receive())["type"] != "http.disconnect":
                pass
            disconnected = True
            handler.cancel()

        watcher = asyncio.create_task(watch())
        try:
            await self.app(scope, receive_body, send)
        except ClientDisconnect:
            pass  # disconnected while sending its body
        except asyncio.CancelledError:
            if not disconnected or handler.uncancel() > 0:
                raise
        finally:
            watcher.cancel()


def address_of(scope: Scope) -> str | None:
    """The client's address, normalized; None if its proxy sent something else."""
    name = visitor_of(scope)
    return None if name == UNNAMED else name


def route_of(scope: Scope) -> str:
    """The matched route as a label, so unknown paths don't create new ones."""
    mounted: str = scope.get("root_path", "")
    route = scope.get("route")
    return mounted + route.path if isinstance(route, Route) else mounted or "/"
