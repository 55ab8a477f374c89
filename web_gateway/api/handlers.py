"""Route handlers: parse, call, render. Errors are raised and mapped to status codes elsewhere."""

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from web_gateway.api import openapi
from web_gateway.api.feed import EventStream
from web_gateway.api.schemas import parse, render
from web_gateway.api.streams import lasting, stream
from web_gateway.chat_messages import RenderChatRequest
from web_gateway.compare_messages import CompareRequest
from web_gateway.generate_messages import GenerateRequest
from web_gateway.grow_messages import GrowRequest
from web_gateway.http import body
from web_gateway.influence_messages import InfluenceRequest
from web_gateway.layer_messages import LayersRequest
from web_gateway.messages import NextTokenRequest, ScoreRequest, Status
from web_gateway.model_messages import LoadRequest
from web_gateway.tokenize_messages import TokenizeRequest


def answer(content: Struct) -> Response:
    """An uncached JSON response."""
    return Response(render(content), headers={"cache-control": "no-store"}, media_type="application/json")


async def next_token(request: Request) -> Response:
    """The most likely next tokens of a prompt."""
    query = parse(body.taken(request), NextTokenRequest)
    return answer(await request.state.inference.next_token(query, request.state.call))


async def score(request: Request) -> Response:
    """The probability of each token of a text."""
    query = parse(body.taken(request), ScoreRequest)
    return answer(await request.state.inference.score(query, request.state.call))


async def layers(request: Request) -> Response:
    """How a prediction forms from layer to layer."""
    query = parse(body.taken(request), LayersRequest)
    return answer(await request.state.inference.layers(query, request.state.call))


async def generate(request: Request) -> Response:
    """The continuations of a prompt, token by token, as server-sent events."""
    query = parse(body.taken(request), GenerateRequest)
    return await stream(request, request.state.inference.generate(query, lasting(request)))


async def grow(request: Request) -> Response:
    """The tree of a prompt's most likely continuations, as server-sent events."""
    query = parse(body.taken(request), GrowRequest)
    return await stream(request, request.state.inference.grow(query, lasting(request)))


async def compare(request: Request) -> Response:
    """How two next-token distributions differ."""
    query = parse(body.taken(request), CompareRequest)
    return answer(await request.state.inference.compare(query, request.state.call))


async def influence(request: Request) -> Response:
    """Which parts of a prompt push a token, as server-sent events."""
    query = parse(body.taken(request), InfluenceRequest)
    return await stream(request, request.state.inference.influence(query, lasting(request)))


async def render_chat(request: Request) -> Response:
    """A conversation in the model's chat template."""
    query = parse(body.taken(request), RenderChatRequest)
    return answer(await request.state.inference.render_chat(query, request.state.call))


async def tokenize(request: Request) -> Response:
    """The tokens of a text or of ids."""
    query = parse(body.taken(request), TokenizeRequest)
    return answer(await request.state.inference.tokenize(query, request.state.call))


async def models(request: Request) -> Response:
    """Every model and its state."""
    return answer(await request.state.inference.models(request.state.call))


async def model_events(request: Request) -> Response:
    """The models now and on every change, as server-sent events."""
    return EventStream(request.state.feed, head_only=request.method == "HEAD")


async def load_model(request: Request) -> Response:
    """Starts loading a failed model; returns its state without waiting."""
    query = parse(body.taken(request), LoadRequest)
    return answer(await request.state.inference.load(query.name, request.state.call))


async def info(request: Request) -> Response:
    """Versions, limits and uptime of both services."""
    return answer(request.state.about.with_server(await request.state.inference.info(request.state.call)))


async def healthz(request: Request) -> Response:
    """Liveness."""
    return answer(Status(status="ok"))


async def startupz(request: Request) -> Response:
    """Startup: the inference server has been ready at least once."""
    if not request.state.started.is_set():
        await request.state.inference.check_ready(request.state.call)
        request.state.started.set()
    return answer(Status(status="started"))


async def readyz(request: Request) -> Response:
    """Readiness: the inference server is ready now."""
    await request.state.inference.check_ready(request.state.call)
    request.state.started.set()
    return answer(Status(status="ready"))


async def metrics(request: Request) -> Response:
    """Prometheus metrics."""
    return Response(request.state.metrics.text(), media_type=request.state.metrics.MEDIA_TYPE)


async def contract(request: Request) -> Response:
    """The OpenAPI document."""
    return Response(openapi.encoded(), media_type="application/json")
