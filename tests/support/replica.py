"""`python tests/support/replica.py`: the inference server, whose model computes nothing and takes a moment for it.

For tests of what ends, hangs and comes back: everything but the model is the real thing, and it starts at once.
"""

import asyncio
import os
from collections.abc import AsyncGenerator

import fakes

from inference_server import messages
from inference_server.generate_messages import GenerateEvent, GenerateQuery
from inference_server.grow_messages import GrowEvent, GrowQuery
from inference_server.messages import NOBODY, Client
from inference_server.server import serve
from inference_server.settings import Settings
from service_kit import logs
from service_kit.settings import read_or_exit

ANSWER_S = 0.01
NODE_S = 0.03


class SlowEngine(fakes.FakeEngine):
    """Has requests in flight most of the time."""

    async def top_k(
        self, query: messages.TopKQuery, deadline: float | None, client: Client = NOBODY
    ) -> messages.TopKAnswer:
        await asyncio.sleep(ANSWER_S)
        return await super().top_k(query, deadline, client)

    async def generate(
        self, query: GenerateQuery, deadline: float | None, client: Client = NOBODY
    ) -> AsyncGenerator[GenerateEvent, None]:
        async for event in super().generate(query, deadline, client):
            yield event
            await asyncio.sleep(ANSWER_S)

    async def grow(
        self, query: GrowQuery, deadline: float | None, client: Client = NOBODY
    ) -> AsyncGenerator[GrowEvent, None]:
        async for event in super().grow(query, deadline, client):
            yield event
            await asyncio.sleep(NODE_S)


def main() -> None:
    """Runs the server."""
    settings = read_or_exit(Settings, os.environ)
    logs.configure("inference", settings.log_format, settings.log_level)
    asyncio.run(serve(settings, fakes.fetch, lambda name, folder: SlowEngine()))


if __name__ == "__main__":
    main()
