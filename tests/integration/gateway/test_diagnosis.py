"""Why no connection comes about, asked by every call that fails."""

import asyncio

from bench.stack import free_port
from servers import PATIENCE_S

from web_gateway.channel import linked
from web_gateway.settings import Settings


async def test_calls_that_fail_at_any_moment_of_a_diagnosis_are_answered() -> None:
    asked: list[asyncio.Task[str | None]] = []
    async with asyncio.timeout(PATIENCE_S), linked(Settings(inference_target=f"localhost:{free_port()}")) as link:
        while not asked or not asked[0].done():
            asked.append(asyncio.create_task(link.fault()))
            await asyncio.sleep(0)  # one at each turn of the loop, so one between the end of it and what follows
        assert await asyncio.gather(*asked) == [None] * len(asked)
