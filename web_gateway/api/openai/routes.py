"""The paths of the OpenAI-compatible API."""

from collections.abc import Sequence

from starlette.endpoints import HTTPEndpoint
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.routing import Mount, Route, Router

from web_gateway.api.openai import handlers


class OtherMethods(HTTPEndpoint):
    """Answers 405 where another route takes POST; else such requests would be for the page's files."""

    async def post(self, _: Request) -> None:
        """Named in the Allow header; never called."""
        raise HTTPException(405)


def routes(
    reading: Sequence[Middleware], asking: Sequence[Middleware], streaming: Sequence[Middleware]
) -> list[Mount | Route]:
    """For requests without a body, those that are answered at once, and those that take long."""
    completing = [
        Route("/models", handlers.models, middleware=reading),
        Route("/models/{model:path}", handlers.model, middleware=reading),
        Route("/completions", handlers.completions, methods=["POST"], middleware=streaming),
        Route("/chat/completions", handlers.chat_completions, methods=["POST"], middleware=streaming),
    ]
    return [
        Mount("/v1", app=Router(completing, redirect_slashes=False)),
        Route("/tokenize", handlers.tokenize, methods=["POST"], middleware=asking),
        Route("/detokenize", handlers.detokenize, methods=["POST"], middleware=asking),
        *(Route(path, OtherMethods) for path in ("/tokenize", "/detokenize")),
        Route("/tokenizer_info", handlers.tokenizer_info, middleware=reading),
    ]
