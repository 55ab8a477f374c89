"""Answers that come in parts: the events of a streaming call as server-sent events.

An error before the first event is an ordinary error response. A later one is an `error` event whose data is the same
JSON, and ends the stream. Comments keep a quiet stream open. Whoever reads slowly slows the call down: the next event
is fetched once the one before has been sent.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Protocol

import structlog
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Send

from web_gateway.api.feed import HEARTBEAT, HEARTBEAT_S
from web_gateway.api.schemas import render
from web_gateway.errors import DeadlineExceeded, GatewayError, InternalFault, problem
from web_gateway.http.middleware import route_of
from web_gateway.inference.call import Call
from web_gateway.inference.client import TIMED_OUT
from web_gateway.messages import Problem
from web_gateway.metrics import Metrics

FAULT = "Internal error; the log has the details under the request id."

logger = structlog.get_logger()


class Wire(Protocol):
    """How the events of a stream are written."""

    end: bytes
    """After the last event of a stream that did not break."""

    def event(self, event: Any) -> bytes: ...
    def problem(self, problem: Problem) -> bytes: ...


class Named:
    """Events with their names, errors under the name `error`."""

    end = b""

    def event(self, event: tuple[str, Struct]) -> bytes:
        """One event."""
        return b"event: %s\ndata: %s\n\n" % (event[0].encode(), render(event[1]))

    def problem(self, problem: Problem) -> bytes:
        """The error that ends a stream."""
        return self.event(("error", problem))


NAMED = Named()


class EventAnswer(StreamingResponse):
    """A response that proxies neither cache nor buffer; closes its events when it ends or its client leaves."""

    def __init__(
        self,
        content: AsyncGenerator[bytes, None],
        events: AsyncGenerator[Any, None],
        headers: dict[str, str] | None = None,
    ) -> None:
        """`content` is made of the events."""
        self.content = content
        self.events = events
        headers = {"cache-control": "no-store", "x-accel-buffering": "no", **(headers or {})}
        super().__init__(content, headers=headers, media_type="text/event-stream")

    async def stream_response(self, send: Send) -> None:
        """Sends event by event."""
        async with aclosing(self.events), aclosing(self.content):
            await super().stream_response(send)


def lasting(request: Request) -> Call:
    """The context of a streaming call, which may take longer than one that answers at once."""
    call: Call = request.state.call
    return call.lasting(request.state.settings.stream_s)


async def stream(
    request: Request,
    events: AsyncGenerator[Any, None],
    wire: Wire = NAMED,
    headers: dict[str, str] | None = None,
) -> EventAnswer:
    """The response, once the first event is there. Raises GatewayError if the call fails before."""
    first = await begun(request, events)
    content = written(first, events, request.state.metrics, route_of(request.scope), wire)
    return EventAnswer(content, events, headers)


async def begun(request: Request, events: AsyncGenerator[Any, None]) -> Any:
    """The first event, which may take as long as an answer that is not streamed. If it fails, closes the events."""
    try:
        async with asyncio.timeout(request.state.call.remaining_s()):
            return await anext(events)
    except TimeoutError:
        await events.aclose()
        raise DeadlineExceeded(TIMED_OUT) from None
    except BaseException:
        await events.aclose()
        raise


async def written(
    first: Any, events: AsyncGenerator[Any, None], metrics: Metrics, route: str, wire: Wire = NAMED
) -> AsyncGenerator[bytes, None]:
    """The events as bytes, with a comment whenever none came for a while."""
    reading = asyncio.ensure_future(anext(events, None))
    end = "left"
    with metrics.streaming():
        try:
            yield wire.event(first)
            while True:
                while not (await asyncio.wait((reading,), timeout=HEARTBEAT_S))[0]:
                    yield HEARTBEAT
                if (event := reading.result()) is None:
                    break
                yield wire.event(event)
                reading = asyncio.ensure_future(anext(events, None))
            if wire.end:
                yield wire.end
            end = "done"
        except GatewayError as error:
            end = problem(error).code
            logger.warning("stream broke", route=route, code=end, reason=str(error))
            yield wire.problem(problem(error))
        except Exception:
            end = "internal"
            logger.exception("unexpected error in a stream", route=route)
            yield wire.problem(problem(InternalFault(FAULT)))
        finally:
            metrics.streamed(route, end)
            reading.cancel()
            await asyncio.wait((reading,))
            if not reading.cancelled():
                reading.exception()  # retrieved: nobody waits for it any more
            await events.aclose()
