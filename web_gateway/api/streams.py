"""Answers that come in parts: the events of a streaming call as server-sent events.

An error before the first event is an ordinary error response. A later one is an `error` event whose data is the same
JSON, and ends the stream. Comments keep a quiet stream open. Whoever reads slowly slows the call down: the next event
is fetched once the one before has been sent.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

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
from web_gateway.inference.client import TIMED_OUT, Event
from web_gateway.metrics import Metrics

FAULT = "Internal error; the log has the details under the request id."

logger = structlog.get_logger()


class EventAnswer(StreamingResponse):
    """A response that proxies neither cache nor buffer; closes its events when it ends or its client leaves."""

    def __init__(self, content: AsyncGenerator[bytes, None], events: AsyncGenerator[Event, None]) -> None:
        """`content` is made of the events."""
        self.content = content
        self.events = events
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        super().__init__(content, headers=headers, media_type="text/event-stream")

    async def stream_response(self, send: Send) -> None:
        """Sends event by event."""
        async with aclosing(self.events), aclosing(self.content):
            await super().stream_response(send)


def lasting(request: Request) -> Call:
    """The context of a streaming call, which may take longer than one that answers at once."""
    call: Call = request.state.call
    return call.lasting(request.state.settings.stream_s)


async def stream(request: Request, events: AsyncGenerator[Event, None]) -> EventAnswer:
    """The response, once the first event is there. Raises GatewayError if the call fails before."""
    try:
        async with asyncio.timeout(request.state.call.remaining_s()):
            first = await anext(events)
    except TimeoutError:
        await events.aclose()
        raise DeadlineExceeded(TIMED_OUT) from None
    except BaseException:
        await events.aclose()
        raise
    return EventAnswer(written(first, events, request.state.metrics, route_of(request.scope)), events)


async def written(
    first: Event, events: AsyncGenerator[Event, None], metrics: Metrics, route: str
) -> AsyncGenerator[bytes, None]:
    """The events as bytes, with a comment whenever none came for a while."""
    reading = asyncio.ensure_future(anext(events, None))
    end = "left"
    with metrics.streaming():
        try:
            yield encoded(*first)
            while True:
                while not (await asyncio.wait((reading,), timeout=HEARTBEAT_S))[0]:
                    yield HEARTBEAT
                if (event := reading.result()) is None:
                    break
                yield encoded(*event)
                reading = asyncio.ensure_future(anext(events, None))
            end = "done"
        except GatewayError as error:
            end = problem(error).code
            logger.warning("stream broke", route=route, code=end, reason=str(error))
            yield encoded("error", problem(error))
        except Exception:
            end = "internal"
            logger.exception("unexpected error in a stream", route=route)
            yield encoded("error", problem(InternalFault(FAULT)))
        finally:
            metrics.streamed(route, end)
            reading.cancel()
            await asyncio.wait((reading,))
            if not reading.cancelled():
                reading.exception()  # retrieved: nobody waits for it any more
            await events.aclose()


def encoded(name: str, content: Struct) -> bytes:
    """One event."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), render(content))
