"""Reads request bodies, with limits on type, length, time and memory."""

import asyncio

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from web_gateway.errors import BodyTooLarge, NotJson, Overloaded, SlowBody
from web_gateway.http.client_address import visitor_of
from web_gateway.http.shares import Refused, Shares
from web_gateway.settings import Settings

FREE_BYTES = 2**16  # per body, not counted: uvicorn buffers as much anyway
PART = 8  # one client may use 1/PART of the memory
ASK_AGAIN_S = 1.0


class Bodies:
    """Limits the memory of all long bodies being read or processed."""

    def __init__(self, settings: Settings, refused: Refused) -> None:
        longest = settings.max_body_bytes
        room = max(settings.bodies_mb << 20, longest)
        self.room = Shares("bodies", room, max(room // PART, longest), refused)

    def through(self, app: ASGIApp) -> ASGIApp:
        """Wraps the app; calls it once the whole body has been read."""

        async def reading(scope: Scope, receive: Receive, send: Send) -> None:
            body = Body(self.room, visitor_of(scope))
            try:
                scope["state"]["body"] = await read(Request(scope, receive), body)
                await app(scope, receive, send)
            finally:
                body.give_back()

        return reading


class Body:
    """A body received so far."""

    def __init__(self, room: Shares, client: str) -> None:
        self.length = 0
        self._content = bytearray()
        self._room = room
        self._client = client
        self._taken = 0

    def grow(self, chunk: bytes) -> None:
        """Appends a chunk. Raises Overloaded if there is no memory for it."""
        self.length += len(chunk)
        more = max(0, self.length - FREE_BYTES) - self._taken
        if more and not self._room.take(self._client, more):
            raise Overloaded("Too many long texts are arriving at once; try again in a second.", ASK_AGAIN_S)
        self._taken += more
        self._content += chunk

    def whole(self) -> bytearray:
        """Returns the content without copying it, and drops it."""
        content, self._content = self._content, bytearray()
        return content

    def give_back(self) -> None:
        """Releases its memory."""
        self._room.give(self._client, self._taken)


async def read(request: Request, body: Body) -> bytearray:
    """Reads the whole body. Raises NotJson, BodyTooLarge, SlowBody or Overloaded.

    Requiring the JSON type also blocks forms from other sites, since browsers would need a CORS preflight for it.
    """
    kind = request.headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() != "application/json":
        raise NotJson("send the body as JSON, with the header Content-Type: application/json")
    limit: int = request.state.settings.max_body_bytes
    if (declared := request.headers.get("content-length", "")).isdecimal() and int(declared) > limit:
        raise too_large(limit)
    try:
        async with asyncio.timeout(request.state.call.remaining_s()):
            async for chunk in request.stream():
                if body.length + len(chunk) > limit:
                    raise too_large(limit)
                body.grow(chunk)
    except TimeoutError:
        raise SlowBody(f"the body did not arrive within {request.state.settings.timeout_s:g} s") from None
    return body.whole()


def taken(request: Request) -> bytearray:
    """Returns the body, once, so that it is not kept in memory."""
    body: bytearray = request.scope["state"].pop("body")
    return body


def too_large(limit: int) -> BodyTooLarge:
    """The error for a body that exceeds the limit."""
    return BodyTooLarge(f"the body is longer than the {limit:,} bytes this server reads; send a shorter text")
