"""The models' changes as server-sent events: one watch of the inference server, shared by every page that listens."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import structlog
from starlette.responses import StreamingResponse
from starlette.types import Send

from web_gateway.api.schemas import render
from web_gateway.errors import GatewayError, problem
from web_gateway.inference.client import Call, InferenceClient
from web_gateway.messages import ModelList, Problem

HEARTBEAT_S = 15.0  # below the idle limit of common proxies
RETRY_S = 1.0
OPENING = b"retry: 2000\n\n"  # the browser's pause before it connects again, in milliseconds
HEARTBEAT = b": still here\n\n"

logger = structlog.get_logger()


class ModelFeed:
    """Watches while at least one page listens. A page that reads slowly skips to the latest state."""

    def __init__(self, inference: InferenceClient) -> None:
        self.inference = inference
        self.listeners = 0
        self._closed = False
        self._latest: bytes | None = None
        self._changed = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None

    async def events(self) -> AsyncGenerator[bytes, None]:
        """The models now and at every change; ends when the feed closes."""
        self._arrive()
        try:
            yield OPENING
            seen: bytes | None = None
            while not self._closed:
                changed = self._changed
                if self._latest is not None and self._latest is not seen:
                    seen = self._latest
                    yield seen
                elif not await happens(changed, HEARTBEAT_S):
                    yield HEARTBEAT
        finally:
            self._leave()

    def close(self) -> None:
        """Ends every listener's stream and the watch, so that the server can stop."""
        self._closed = True
        self._wake()
        if self._watching is not None:
            self._watching.cancel()

    def _arrive(self) -> None:
        self.listeners += 1
        if self._watching is None and not self._closed:
            self._watching = asyncio.create_task(self._watch())

    def _leave(self) -> None:
        self.listeners -= 1
        if self.listeners == 0 and self._watching is not None:
            self._watching.cancel()
            self._watching = self._latest = None

    async def _watch(self) -> None:
        """Publishes every change, and in words what keeps it from knowing; tries again until cancelled."""
        call = Call.endless()
        structlog.contextvars.bind_contextvars(request_id=call.request_id)  # not the first listener's
        while True:
            try:
                async for models in self.inference.watch(call):
                    self._publish("models", models)
            except GatewayError as error:
                if self._publish("unreachable", problem(error)):
                    logger.warning("the models can't be watched", reason=str(error))
            except Exception:
                logger.exception("the watch of the models failed")
            await asyncio.sleep(RETRY_S)

    def _publish(self, event: str, content: ModelList | Problem) -> bool:
        """Hands an event to every listener; whether it is news."""
        latest = b"event: %s\ndata: %s\n\n" % (event.encode(), render(content))
        news = latest != self._latest
        if news:
            self._latest = latest
            self._wake()
        return news

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class EventStream(StreamingResponse):
    """The feed as a response that proxies neither keep nor hold back."""

    def __init__(self, feed: ModelFeed, head_only: bool) -> None:
        self.events = nothing() if head_only else feed.events()
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        super().__init__(self.events, headers=headers, media_type="text/event-stream")

    async def stream_response(self, send: Send) -> None:
        """Streams until the feed closes or the page leaves; then it no longer counts as a listener."""
        async with aclosing(self.events):
            await super().stream_response(send)


async def nothing() -> AsyncGenerator[bytes, None]:
    """The body of an answer to HEAD."""
    return
    yield b""


async def happens(event: asyncio.Event, within_s: float) -> bool:
    """Whether the event is set in time."""
    try:
        async with asyncio.timeout(within_s):
            return await event.wait()
    except TimeoutError:
        return False
