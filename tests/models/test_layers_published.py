"""Layers on SmolLM2-135M-Instruct as published: an answer that the model settles on only after its last block."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from published import MODEL, folder
from tokenizers import Tokenizer

from inference_server.engine import engine
from inference_server.kvcache.logits_cache import LogitsCache
from inference_server.layer_messages import LayersQuery
from inference_server.scheduler.scheduler import Scheduler
from inference_server.settings import Settings

pytestmark = pytest.mark.asyncio(loop_scope="module")

BLOCKS = 30
PARIS = 0.77


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def loaded() -> AsyncIterator[Any]:
    files, scheduler = folder(MODEL), Scheduler(queue_limit=8, batch_size=16)
    yield engine.load(MODEL, files, scheduler, LogitsCache(1 << 26), 1 << 26, Settings(device="cpu", lookahead=0))
    assert await scheduler.close(5)


async def test_paris_leads_only_after_the_last_block(loaded: Any) -> None:
    tokenizer = Tokenizer.from_file(str(folder(MODEL) / "tokenizer.json"))
    ids = tokenizer.encode("The capital of France is").ids
    [paris] = tokenizer.encode(" Paris").ids
    query = LayersQuery(token_ids=ids, watch_token_ids=(paris,), top_k=3)
    answer = await loaded.layers(query, None)
    places = [layer.watched[0] for layer in answer.layers]
    assert len(places) == BLOCKS + 1
    assert [at for at, place in enumerate(places) if place.rank == 1] == [BLOCKS]
    assert places[-1].probability == pytest.approx(PARIS, abs=0.01)
    assert places[-6].probability < 1e-4
    assert answer.commitment.top1_layer == BLOCKS
    assert answer.commitment.half_layer == BLOCKS
