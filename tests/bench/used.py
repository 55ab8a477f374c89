"""Both services with SmolLM2-360M's shape as after a while of use: all memory of the cache has been written before.

Memory that a process has never written is taken from the system when it is: 2 MB of it took 9 ms on a virtual machine,
which is a tenth of a step of sixteen tokens.
"""

import contextlib
import random
from collections.abc import AsyncIterator

import aiohttp

from bench import shape
from bench.resident import theoretical_bytes
from bench.stack import Stack, running

CACHE_MB = 512
TOKENS = 1_000  # of each prompt


@contextlib.asynccontextmanager
async def used() -> AsyncIterator[Stack]:
    """Filled with prompts that nobody asks about again."""
    chance = random.Random(2)
    async with (
        running(model=str(shape.folder()), NEXTTOKEN_CACHE_MB=str(CACHE_MB), NEXTTOKEN_TIMEOUT_S="600") as stack,
        aiohttp.ClientSession() as session,
    ):
        for _ in range(1 + (CACHE_MB << 20) // (TOKENS * theoretical_bytes(shape.folder()))):
            ids = chance.choices(range(shape.VOCABULARY), k=TOKENS)
            async with session.post(f"{stack.url}/api/next-token", json={"token_ids": ids}) as answer:
                assert answer.status == 200, await answer.text()
        yield stack
