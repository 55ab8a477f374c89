"""The request's body, read within its bounds of kind, length, time and memory, before anything else is done."""

import asyncio

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from web_gateway.errors import BodyTooLarge, NotJson, Overloaded, SlowBody
from web_gateway.http.client_address import visitor_of
from web_gateway.http.shares import Refused, Shares
from web_gateway.settings import Settings

FREE_BYTES = 2**16  # of each body, whatever room there is: as many as uvicorn keeps anyway
PART = 4  # how many clients fill the room for long bodies
ASK_AGAIN_S = 1.0


class Bodies:
    """All bodies that are being read or answered; what is long of them shares a bounded room."""

    def __init__(self, settings: Settings, refused: Refused) -> None:
        longest = settings.max_body_bytes
        room = max(settings.bodies_mb << 20, longest)
        self.room = Shares("bodies", room, max(room // PART, longest), refused)

    def through(self, app: ASGIApp) -> ASGIApp:
        """The app, once the whole body is there to be taken."""

        async def reading(scope: Scope, receive: Receive, send: Send) -> None:
            body = Body(self.room, visitor_of(scope))
            try:
                scope["state"]["body"] = await read(Request(scope, receive), body)
                await app(scope, receive, send)
            finally:
                body.give_back()

        return reading


class Body:
    """What one client has sent so far."""

    def __init__(self, room: Shares, client: str) -> None:
        self.length = 0
        self._content = bytearray()
        self._room = room
        self._client = client
        self._taken = 0

    def grow(self, chunk: bytes) -> None:
        """Keeps more. Raises Overloaded where that would not fit."""
        self.length += len(chunk)
        more = max(0, self.length - FREE_BYTES) - self._taken
        if more and not self._room.take(self._client, more):
            raise Overloaded("Too many long texts are arriving at once; try again in a second.", ASK_AGAIN_S)
        self._taken += more
        self._content += chunk

    def whole(self) -> bytearray:
        """All of it, once and not copied."""
        content, self._content = self._content, bytearray()
        return content

    def give_back(self) -> None:
        """It is needed no more."""
        self._room.give(self._client, self._taken)


async def read(request: Request, body: Body) -> bytearray:
    """The whole body. Raises NotJson, BodyTooLarge, SlowBody or Overloaded; what follows the limit is never kept.

    Asking for the JSON type also keeps other sites' forms out: their browsers would have to ask us first.
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
    """The body, which is not kept any longer here."""
    body: bytearray = request.scope["state"].pop("body")
    return body


def too_large(limit: int) -> BodyTooLarge:
    """The refusal of a body longer than the limit."""
    return BodyTooLarge(f"the body is longer than the {limit:,} bytes this server reads; send a shorter text")
