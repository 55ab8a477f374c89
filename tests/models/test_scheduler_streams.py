"""A click beside streams: counted in steps of the worker, it waits for the one under way and at most one more."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

import pytest
from workers import PATIENCE_S, until

from inference_server.generate_messages import GenerateQuery
from inference_server.grow_messages import GrowQuery
from inference_server.messages import Client, TopKQuery
from models.conftest import Cell

MakeCell = Callable[[str, str], Cell]

PROMPT = (7, 8, 9, 10, 11)
READER = Client("10.0.0.1", "reader")
CLICKERS = {"the same session": READER, "another address": Client("10.0.0.2")}
ASKED = {"a click on a bar": (*PROMPT, 12), "a new prompt": (90, 91, 92, 93)}


def generating(at: Cell, client: Client, seed: int = 1) -> AsyncGenerator[Any, None]:
    query = GenerateQuery(token_ids=PROMPT, n=16, max_tokens=50, stop_token_ids=(), seed=seed)
    return at.engine.generate(query, None, client)


def growing(at: Cell, client: Client) -> AsyncGenerator[Any, None]:
    return at.engine.grow(GrowQuery(token_ids=PROMPT, depth=50, max_nodes=2000), None, client)


def crowd(at: Cell, client: Client) -> list[AsyncGenerator[Any, None]]:
    """More sequences at a time than a step takes."""
    others = [generating(at, Client(f"10.0.1.{seed}"), seed) for seed in (2, 3)]
    return [generating(at, client), growing(at, Client("10.0.1.4")), *others]


STREAMS: dict[str, Callable[[Cell, Client], list[AsyncGenerator[Any, None]]]] = {
    "generate": lambda at, client: [generating(at, client)],
    "grow": lambda at, client: [growing(at, client)],
    "many": crowd,
}


def waits(at: Cell, asked: tuple[int, ...]) -> bool:
    """Whether a prompt is in the queue."""
    worker: Any = at.scheduler._worker
    with worker._changed:
        return any(sequence.token_ids == asked for sequence in worker._waiting)


@pytest.mark.parametrize("under_way", [4, 8], ids="step {}".format)
@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
@pytest.mark.parametrize("client", CLICKERS.values(), ids=CLICKERS)
@pytest.mark.parametrize("streams", STREAMS.values(), ids=STREAMS)
async def test_a_click_beside_streams_waits_for_one_step_at_most(
    cell: MakeCell,
    monkeypatch: pytest.MonkeyPatch,
    streams: Callable[[Cell, Client], list[AsyncGenerator[Any, None]]],
    client: Client,
    asked: tuple[int, ...],
    under_way: int,
) -> None:
    at = cell("llama", "byte_bpe")
    at.forget()
    await at.engine.top_k(TopKQuery(token_ids=PROMPT), None)
    steps = list[set[tuple[int, ...]]]()
    held, go = threading.Event(), threading.Event()
    compute = at.engine.executor.execute

    def watched(batch: list[Any]) -> None:
        steps.append({sequence.token_ids for sequence, _ in batch})
        if len(steps) == under_way:
            held.set()
            assert go.wait(PATIENCE_S)
        compute(batch)

    async def read(stream: AsyncGenerator[Any, None]) -> None:
        async with aclosing(stream) as events:
            async for _ in events:
                pass

    monkeypatch.setattr(at.engine.executor, "execute", watched)
    reading = [asyncio.create_task(read(stream)) for stream in streams(at, READER)]
    try:
        assert await asyncio.to_thread(held.wait, PATIENCE_S)
        click = asyncio.create_task(at.engine.top_k(TopKQuery(token_ids=asked), None, client))
        await until(lambda: waits(at, asked))
        go.set()
        await click
    finally:
        go.set()
        for task in reading:
            task.cancel()
        await asyncio.wait(reading)
    waited = next(step for step, computed in enumerate(steps) if asked in computed) - under_way
    assert 0 <= waited <= 1
    await until(lambda: at.scheduler.in_flight == 0)
