"""Influence on SmolLM2-135M-Instruct as published: the figures of plain transformers over ten prompts, reproduced."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
import torch
import transformers
from published import MODEL, folder
from tokenizers import Tokenizer

from inference_server.engine import engine, ranks
from inference_server.influence_messages import InfluenceChange, InfluenceEnd, InfluenceQuery, InfluenceStart
from inference_server.kvcache.logits_cache import LogitsCache
from inference_server.messages import TopKQuery
from inference_server.scheduler.scheduler import Scheduler
from inference_server.settings import Settings
from models.test_influence import odds

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROMPTS = [
    "The capital of France is",
    "Paris is the capital of",
    "My dog is called Rex. Every morning I take a walk with",
    "Water boils at 100 degrees and freezes at",
    "She opened the door, turned on the lights and saw that the room was completely",
    "The doctor said that the patient should take two pills every",
    "def add(a, b):\n    return a +",
    "In 1969 the first man walked on the",
    "Romeo and Juliet was written by William",
    "The opposite of hot is",
]
SHARED = {"hide": 22, "gradient": 21}  # of 30 places among the three strongest, with take_out's
CORRELATION = {"hide": 0.52, "gradient": 0.35}  # mean, with take_out


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def loaded() -> AsyncIterator[Any]:
    files, scheduler = folder(MODEL), Scheduler(queue_limit=8, batch_size=16)
    yield engine.load(MODEL, files, scheduler, LogitsCache(1 << 26), 1 << 26, Settings(device="cpu", lookahead=0))
    assert await scheduler.close(5)


async def changes(at: Any, ids: list[int], target: int, method: str) -> dict[str, dict[int, float]]:
    """By method and token, without the first token and the last."""
    found: dict[str, dict[int, float]] = {}
    query = InfluenceQuery(token_ids=ids, target=target, unit="token", method=method)
    async for event in at.influence(query, None):
        if isinstance(event, InfluenceStart):
            assert [unit.end - unit.start for unit in event.units if unit.kind == "token"] == [1] * len(ids)
        elif isinstance(event, InfluenceChange) and 0 < event.unit < len(ids) - 1:
            found.setdefault(event.method, {})[event.unit] = event.log_odds_change
        elif isinstance(event, InfluenceEnd):
            assert event.complete
    return found


def strongest(values: dict[int, float]) -> list[int]:
    return sorted(values, key=lambda at: -abs(values[at]))[:3]


async def test_hide_and_gradient_guide_as_well_as_plain_transformers_say(loaded: Any) -> None:
    tokenizer = Tokenizer.from_file(str(folder(MODEL) / "tokenizer.json"))
    shared, correlations, first = dict.fromkeys(SHARED, 0), dict.fromkeys(SHARED, 0.0), dict.fromkeys(SHARED, 0)
    for prompt in PROMPTS:
        ids = tokenizer.encode(prompt).ids
        target = (await loaded.top_k(TopKQuery(token_ids=ids, top_k=1), None)).candidates[0].token.token_id
        found = await changes(loaded, ids, target, "take_out") | await changes(loaded, ids, target, "gradient")
        truth = found["take_out"]
        for method in SHARED:
            guess = found[method]
            shared[method] += len(set(strongest(guess)) & set(strongest(truth)))
            first[method] += strongest(truth)[0] in strongest(guess)
            sizes = [[abs(values[at]) for at in sorted(truth)] for values in (guess, truth)]
            correlations[method] += (ranks.correlation(*sizes) or 0.0) / len(PROMPTS)
    assert first == {"hide": 10, "gradient": 10}
    assert shared == SHARED
    assert {method: round(value, 2) for method, value in correlations.items()} == pytest.approx(CORRELATION, abs=0.011)


async def test_changes_are_those_of_plain_transformers(loaded: Any) -> None:
    """With 16-bit weights in memory and compiled kernels, as the server runs it."""
    network: Any = transformers.AutoModelForCausalLM.from_pretrained(folder(MODEL), dtype=torch.float32).eval()
    ids = Tokenizer.from_file(str(folder(MODEL) / "tokenizer.json")).encode(PROMPTS[0]).ids

    def plain(prompt: list[int], mask: torch.Tensor | None = None) -> torch.Tensor:
        with torch.inference_mode():
            found: torch.Tensor = network(torch.tensor([prompt]), attention_mask=mask).logits[0, -1]
        return found

    target = int(plain(ids).argmax())
    base = odds(plain(ids), target)
    found = await changes(loaded, ids, target, "take_out")
    low = torch.finfo(torch.float32).min
    for at in range(1, len(ids) - 1):
        mask = torch.full((len(ids), len(ids)), low).triu(1)
        mask[-1, at] = low
        assert found["hide"][at] == pytest.approx(odds(plain(ids, mask[None, None]), target) - base, abs=1e-4)
        assert found["take_out"][at] == pytest.approx(odds(plain(ids[:at] + ids[at + 1 :]), target) - base, abs=1e-4)
