"""What surrounds every request, as plain ASGI: its record, its headers, its end when the client leaves."""

import asyncio
import time

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service_kit import tracing
from service_kit.logs import request_id, usable_id
from web_gateway import errors
from web_gateway.http.client_address import UNNAMED, visitor_of
from web_gateway.inference.channel import SESSION_KEY
from web_gateway.inference.client import REQUEST_ID_KEY, Call
from web_gateway.metrics import Metrics

CLIENT_LEFT = 499  # no such status is ever sent: nobody was there to read it
PIECE = 2**16  # bytes: uvicorn waits for the reader where more are unread
POLLED = frozenset({"/healthz", "/startupz", "/readyz", "/metrics"})

SECURITY_HEADERS = {
    "content-security-policy": "; ".join(
        (
            "default-src 'self'",
            "img-src 'self' data: blob:",
            "style-src 'self'",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}

logger = structlog.get_logger()


class InPieces:
    """Sends long answers piece by piece, so that who answers is done only when the client has read nearly all."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_pieces(message: Message) -> None:
            body = message.get("body", b"")
            while len(body) > PIECE:
                await send({"type": "http.response.body", "body": body[:PIECE], "more_body": True})
                body = body[PIECE:]
            await send({**message, "body": body} if "body" in message else message)

        await self.app(scope, receive, send_pieces if scope["type"] == "http" else send)


class SecurityHeaders:
    """Tells the browser to run and load only what this server sends, on every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(SECURITY_HEADERS)
            await send(message)

        await self.app(scope, receive, send_with_headers if scope["type"] == "http" else send)


class RequestRecord:
    """Gives each request its id and deadline, one line in the log and its place in the metrics.

    What no handler foresaw becomes a general 500 here; the log has the cause under the request id.
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
        begun: float | None = None
        status = CLIENT_LEFT
        headers = Headers(scope=scope)
        call = Call(
            request_id(headers.get(REQUEST_ID_KEY)),
            started + self.timeout_s,
            session=usable_id(headers.get(SESSION_KEY)),
            address=address_of(scope),
        )
        scope.setdefault("state", {})["call"] = call

        async def send_with_id(message: Message) -> None:
            nonlocal begun, status
            if message["type"] == "http.response.start":
                begun, status = time.monotonic(), message["status"]
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
                if begun is not None:
                    raise
                # Only a stop whose grace is over cancels what still has a client.
                await errors.stopping()(scope, receive, send_with_id)
            except Exception:
                logger.exception("unexpected fault", method=scope["method"], route=route_of(scope))
                if begun is not None:
                    raise  # too late for words: the server cuts the connection
                await errors.internal(call.request_id)(scope, receive, send_with_id)
            finally:
                ended = time.monotonic()
                self.metrics.answered(route_of(scope), scope["method"], status, (begun or ended) - started)
                log = logger.debug if polled else logger.info
                milliseconds = round((ended - started) * 1000, 1)
                log("request", method=scope["method"], route=route_of(scope), status=status, ms=milliseconds)
                if span is not None:
                    span.update_name(f"{scope['method']} {route_of(scope)}")
                    span.set_attributes({"http.response.status_code": status, "request_id": call.request_id})
                    if status >= 500:
                        tracing.failed(span, str(status))


class CancelOnDisconnect:
    """Cancels the work on a request whose client has left, and with it the call to the inference server."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answering = asyncio.current_task()
        assert answering is not None  # noqa: S101 - ASGI servers run requests in tasks
        body_read = asyncio.Event()
        if scope["method"] in ("GET", "HEAD"):
            body_read.set()  # nobody will ask for it
        left = False

        async def receive_body() -> Message:
            if body_read.is_set():
                await asyncio.Future()  # from here on the watcher listens, and ends this wait by cancelling
            message = await receive()
            if not message.get("more_body", False):
                body_read.set()
            return message

        async def watch() -> None:
            nonlocal left
            await body_read.wait()
            while (await receive())["type"] != "http.disconnect":
                pass
            left = True
            answering.cancel()

        watcher = asyncio.create_task(watch())
        try:
            await self.app(scope, receive_body, send)
        except ClientDisconnect:
            pass  # it left in the middle of its body
        except asyncio.CancelledError:
            if not left or answering.uncancel() > 0:
                raise
        finally:
            watcher.cancel()


def address_of(scope: Scope) -> str | None:
    """The client's address, one for all that a visitor has; None where a proxy put words in its place that are none."""
    name = visitor_of(scope)
    return None if name == UNNAMED else name


def route_of(scope: Scope) -> str:
    """The route a request took, as a label: few values, whatever paths are asked for."""
    mounted: str = scope.get("root_path", "")
    route = scope.get("route")
    return mounted + route.path if isinstance(route, Route) else mounted or "/"
