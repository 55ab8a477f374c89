"""HTTP in, JSON out: parse, call, render. Knows neither protobuf nor status codes."""

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from web_gateway.api import openapi
from web_gateway.api.feed import EventStream
from web_gateway.api.schemas import parse, render
from web_gateway.http import body
from web_gateway.messages import LoadRequest, NextTokenRequest, ScoreRequest, Status


def answer(content: Struct) -> Response:
    """The content as JSON that nobody keeps."""
    return Response(render(content), headers={"cache-control": "no-store"}, media_type="application/json")


async def next_token(request: Request) -> Response:
    """The most likely next tokens of a prompt."""
    query = parse(body.taken(request), NextTokenRequest)
    return answer(await request.state.inference.next_token(query, request.state.call))


async def score(request: Request) -> Response:
    """How likely the model found each token of a text."""
    query = parse(body.taken(request), ScoreRequest)
    return answer(await request.state.inference.score(query, request.state.call))


async def models(request: Request) -> Response:
    """Every model and its state."""
    return answer(await request.state.inference.models(request.state.call))


async def model_events(request: Request) -> Response:
    """The models now and at every change, as server-sent events."""
    return EventStream(request.state.feed, head_only=request.method == "HEAD")


async def load_model(request: Request) -> Response:
    """Starts loading a model that failed; answers with its state and does not wait."""
    wanted = parse(body.taken(request), LoadRequest)
    return answer(await request.state.inference.load(wanted.name, request.state.call))


async def info(request: Request) -> Response:
    """What both tiers are."""
    return answer(request.state.about.with_server(await request.state.inference.info(request.state.call)))


async def healthz(request: Request) -> Response:
    """The gateway lives."""
    return answer(Status(status="ok"))


async def startupz(request: Request) -> Response:
    """The inference server has been reached and could answer, now or earlier."""
    if not request.state.started.is_set():
        await request.state.inference.check_ready(request.state.call)
        request.state.started.set()
    return answer(Status(status="started"))


async def readyz(request: Request) -> Response:
    """The inference server is reached and can answer."""
    await request.state.inference.check_ready(request.state.call)
    request.state.started.set()
    return answer(Status(status="ready"))


async def metrics(request: Request) -> Response:
    """What Prometheus reads."""
    return Response(request.state.metrics.text(), media_type=request.state.metrics.MEDIA_TYPE)


async def contract(request: Request) -> Response:
    """The OpenAPI file."""
    return Response(openapi.encoded(), media_type="application/json")
