"""The request's body, read within its bounds of kind, length and time."""

import asyncio

from starlette.requests import Request

from web_gateway.errors import BodyTooLarge, NotJson, SlowBody


async def read(request: Request) -> bytes:
    """The whole body. Raises NotJson, BodyTooLarge or SlowBody; what follows the limit is never kept.

    Asking for the JSON type also keeps other sites' forms out: their browsers would have to ask us first.
    """
    kind = request.headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() != "application/json":
        raise NotJson("send the body as JSON, with the header Content-Type: application/json")
    limit: int = request.state.settings.max_body_bytes
    if (declared := request.headers.get("content-length", "")).isdecimal() and int(declared) > limit:
        raise too_large(limit)
    body = bytearray()
    try:
        async with asyncio.timeout(request.state.call.remaining_s()):
            async for chunk in request.stream():
                if len(body) + len(chunk) > limit:
                    raise too_large(limit)
                body += chunk
    except TimeoutError:
        raise SlowBody(f"the body did not arrive within {request.state.settings.timeout_s:g} s") from None
    return bytes(body)


def too_large(limit: int) -> BodyTooLarge:
    """The refusal of a body longer than the limit."""
    return BodyTooLarge(f"the body is longer than the {limit:,} bytes this server reads; send a shorter text")
