"""Model states as server-sent events: one WatchModels stream shared by all open pages."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import structlog
from starlette.responses import StreamingResponse
from starlette.types import Send

from web_gateway.api.schemas import render
from web_gateway.errors import GatewayError, problem
from web_gateway.inference.call import Call
from web_gateway.inference.client import InferenceClient
from web_gateway.messages import Problem
from web_gateway.model_messages import ModelList

HEARTBEAT_S = 15.0  # below the idle timeout of common proxies
RETRY_S = 1.0
OPENING = b"retry: 2000\n\n"  # milliseconds before the browser reconnects
HEARTBEAT = b": heartbeat\n\n"

logger = structlog.get_logger()


class ModelFeed:
    """Watches while at least one client listens. A slow client skips to the latest state."""

    def __init__(self, inference: InferenceClient) -> None:
        self.inference = inference
        self.listeners = 0
        self._closed = False
        self._latest: bytes | None = None
        self._changed = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None

    async def events(self) -> AsyncGenerator[bytes, None]:
        """The models now and on every change, until the feed closes."""
        self._subscribe()
        try:
            yield OPENING
            seen: bytes | None = None
            while not self._closed:
                changed = self._changed
                if self._latest is not None and self._latest is not seen:
                    seen = self._latest
                    yield seen
                elif not await is_set(changed, HEARTBEAT_S):
                    yield HEARTBEAT
        finally:
            self._unsubscribe()

    def close(self) -> None:
        """Ends all streams and the watch, so the server can stop."""
        self._closed = True
        self._wake()
        if self._watching is not None:
            self._watching.cancel()

    def _subscribe(self) -> None:
        self.listeners += 1
        if self._watching is None and not self._closed:
            self._watching = asyncio.create_task(self._watch())

    def _unsubscribe(self) -> None:
        self.listeners -= 1
        if self.listeners == 0 and self._watching is not None:
            self._watching.cancel()
            self._watching = self._latest = None

    async def _watch(self) -> None:
        """Publishes every change, or the error that prevents watching; retries until cancelled."""
        call = Call.without_deadline()
        structlog.contextvars.bind_contextvars(request_id=call.request_id)  # else the first listener's id is logged
        while True:
            try:
                async for models in self.inference.watch(call):
                    self._publish("models", models)
            except GatewayError as error:
                if self._publish("unreachable", problem(error)):
                    logger.warning("can't watch models", reason=str(error))
            except Exception:
                logger.exception("watching models failed")
            await asyncio.sleep(RETRY_S)

    def _publish(self, event: str, content: ModelList | Problem) -> bool:
        """Sends an event to all listeners if it differs from the last one. Returns whether it did."""
        message = b"event: %s\ndata: %s\n\n" % (event.encode(), render(content))
        if message == self._latest:
            return False
        self._latest = message
        self._wake()
        return True

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class EventStream(StreamingResponse):
    """The feed as a response that proxies neither cache nor buffer."""

    def __init__(self, feed: ModelFeed, head_only: bool) -> None:
        self.events = empty() if head_only else feed.events()
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        super().__init__(self.events, headers=headers, media_type="text/event-stream")

    async def stream_response(self, send: Send) -> None:
        """Streams until the feed closes or the client disconnects, then unsubscribes."""
        async with aclosing(self.events):
            await super().stream_response(send)


async def empty() -> AsyncGenerator[bytes, None]:
    """The body of a HEAD response."""
    return
    yield b""


async def is_set(event: asyncio.Event, timeout_s: float) -> bool:
    """Waits for the event; False on timeout."""
    try:
        async with asyncio.timeout(timeout_s):
            return await event.wait()
    except TimeoutError:
        return False
