"""The gateway as one value: its routes, what surrounds them, its table of errors and what lives as long as it does."""

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
from web_gateway.http import limits
from web_gateway.http.body import Bodies
from web_gateway.http.middleware import CancelOnDisconnect, InPieces, RequestRecord, SecurityHeaders
from web_gateway.http.static import FRONTEND, Page
from web_gateway.inference import client
from web_gateway.metrics import Metrics
from web_gateway.settings import Settings

SMALL = 500  # bytes; compressing less saves next to nothing

Connect = Callable[[Settings], AbstractAsyncContextManager[client.InferenceClient]]


def create_app(settings: Settings, connect: Connect = client.connect) -> Starlette:
    """The gateway. `connect` opens what it asks; nothing is opened before the app starts."""
    metrics = Metrics()
    about = About(settings)
    gate = limits.RequestGate(settings, metrics.refused)
    cancelled = [Middleware(CancelOnDisconnect)]
    placed = [Middleware(gate.through)]
    in_time = [Middleware(gate.in_time), *cancelled]
    gated = [*in_time, *placed]
    posted = [*in_time, Middleware(Bodies(settings, metrics.refused).through), *placed]
    asking = [*posted, Middleware(limits.Patience(metrics.refused).through)]

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
            Route("/models", handlers.models, middleware=gated),
            Route("/models/events", handlers.model_events, middleware=cancelled),
            Route("/models/load", handlers.load_model, methods=["POST"], middleware=posted),
            Route("/info", handlers.info, middleware=gated),
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
            Mount("/", app=Page(directory=FRONTEND)),
        ],
        middleware=[
            Middleware(InPieces),
            Middleware(SecurityHeaders),
            *limits.believe(settings),
            Middleware(RequestRecord, metrics=metrics, timeout_s=settings.timeout_s),
            *limits.surroundings(settings, metrics.refused),
            Middleware(GZipMiddleware, minimum_size=SMALL, compresslevel=6),
        ],
        exception_handlers={errors.GatewayError: errors.refused, HTTPException: errors.unrouted},
        lifespan=lifespan,
    )
    app.state.metrics = metrics
    return app
