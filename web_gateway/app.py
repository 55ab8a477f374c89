"""Assembles the gateway: routes, middleware, error handlers and lifespan."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Mount, Route, Router

from web_gateway import errors
from web_gateway.about import About
from web_gateway.api import handlers
from web_gateway.api.feed import ModelFeed
from web_gateway.api.openai.routes import routes as openai_routes
from web_gateway.http import limits
from web_gateway.http.api_keys import ApiKeys
from web_gateway.http.body import Bodies
from web_gateway.http.middleware import CancelOnDisconnect, Chunked, RequestRecord, SecurityHeaders
from web_gateway.http.static import FRONTEND, Page
from web_gateway.inference import client
from web_gateway.metrics import Metrics
from web_gateway.settings import Settings

GZIP_MIN_BYTES = 500

Connect = Callable[[Settings], AbstractAsyncContextManager[client.InferenceClient]]


def create_app(settings: Settings, connect: Connect = client.connect) -> Starlette:
    """The ASGI app. `connect` opens the inference client when the app starts. Raises SettingsError."""
    metrics = Metrics()
    about = About(settings)
    admission = limits.RequestGate(settings, metrics.refused)
    cancelled = [Middleware(CancelOnDisconnect)]
    rate_limited = [Middleware(admission.in_time), *cancelled]
    in_flight = [Middleware(admission.through)]
    read = [Middleware(Bodies(settings, metrics.refused).through), *in_flight]
    patient = [Middleware(limits.Patience(metrics.refused).through)]
    gated = [*patient, Middleware(limits.StreamGate(settings, metrics.refused).through)]
    reading = [*rate_limited, *in_flight]
    posting = [*rate_limited, *read]
    asking, streaming = [*posting, *patient], [*posting, *gated]
    keyed = [*rate_limited, Middleware(ApiKeys(settings, metrics.refused).through)]
    compatible = openai_routes([*keyed, *in_flight], [*keyed, *read, *patient], [*keyed, *read, *gated])

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
        async with connect(settings) as inference:
            app.state.inference = inference
            app.state.feed = feed = ModelFeed(inference)
            yield {
                "settings": settings,
                "inference": inference,
                "feed": feed,
                "metrics": metrics,
                "about": about,
                "started": asyncio.Event(),
            }
            feed.close()

    api = Router(
        [
            Route("/next-token", handlers.next_token, methods=["POST"], middleware=asking),
            Route("/score", handlers.score, methods=["POST"], middleware=asking),
            Route("/layers", handlers.layers, methods=["POST"], middleware=asking),
            Route("/chat/render", handlers.render_chat, methods=["POST"], middleware=asking),
            Route("/tokenize", handlers.tokenize, methods=["POST"], middleware=asking),
            Route("/generate", handlers.generate, methods=["POST"], middleware=streaming),
            Route("/grow", handlers.grow, methods=["POST"], middleware=streaming),
            Route("/compare", handlers.compare, methods=["POST"], middleware=asking),
            Route("/influence", handlers.influence, methods=["POST"], middleware=streaming),
            Route("/models", handlers.models, middleware=reading),
            Route("/models/events", handlers.model_events, middleware=cancelled),
            Route("/models/load", handlers.load_model, methods=["POST"], middleware=posting),
            Route("/info", handlers.info, middleware=reading),
            Route("/openapi.json", handlers.contract),
        ],
        redirect_slashes=False,
    )
    app = Starlette(
        routes=[
            Mount("/api", app=api),
            Route("/healthz", handlers.healthz),
            Route("/startupz", handlers.startupz, middleware=cancelled),
            Route("/readyz", handlers.readyz, middleware=cancelled),
            Route("/metrics", handlers.metrics),
            *(compatible if settings.openai_api else ()),
            Mount("/", app=Page(directory=FRONTEND)),
        ],
        middleware=[
            Middleware(Chunked),
            Middleware(SecurityHeaders, frame_origins=settings.frame_origins),
            *limits.believe(settings),
            Middleware(RequestRecord, metrics=metrics, timeout_s=settings.timeout_s),
            *limits.surroundings(settings, metrics.refused),
            Middleware(GZipMiddleware, minimum_size=GZIP_MIN_BYTES, compresslevel=6),
        ],
        exception_handlers={errors.GatewayError: errors.gateway_error, HTTPException: errors.routing_error},
        lifespan=lifespan,
    )
    app.state.metrics = metrics
    return app
