"""Many honest clients and very many prompts: memory stays flat, and every sampled answer is what the model says."""

import asyncio
import itertools
import random
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
import torch
from nexttoken.v1 import next_token_pb2 as pb
from servers import connect
from transformers import AutoModelForCausalLM

from attack.bystander import PATIENCE_S, SAME
from attack.guard import Guarded, guarded
from attack.tiers import Tiers, running
from inference_server.models import bundled

BUNDLED = bundled.FOLDER
IDS = 4000  # of the bundled model's 4,096
AT_ONCE = 16


def prompts(seed: int, longest: int = 12) -> Iterator[list[int]]:
    """Prompts of random tokens, so that hardly two begin alike."""
    chosen = random.Random(seed)
    while True:
        yield [chosen.randrange(1, IDS) for _ in range(chosen.randrange(3, longest))]


def plain(model: Any, ids: list[int]) -> torch.Tensor:
    """Probabilities as plain transformers computes them."""
    with torch.inference_mode():
        return torch.softmax(model(torch.tensor([ids])).logits[0, -1].float(), dim=-1)


async def ask_all(target: str, questions: Iterator[list[int]], clients: int) -> list[tuple[list[int], Any]]:
    """Every question and its answer; so many clients ask at once, and those refused come again when they were told."""
    answers = []

    async def client(stub: Any, name: str) -> None:
        for ids in questions:
            request = pb.TopKRequest(token_ids=pb.TokenIds(ids=ids), model="bundled", top_k=5)
            while True:
                try:
                    answer = await stub.TopK(request, timeout=PATIENCE_S, metadata=[("x-session", name)])
                    break
                except grpc.aio.AioRpcError as error:
                    if error.code() != grpc.StatusCode.RESOURCE_EXHAUSTED:
                        raise
                    await asyncio.sleep(0.1)
            answers.append((ids, answer))

    async with connect(target) as stub:
        await asyncio.gather(*(client(stub, f"client-{number}") for number in range(clients)))
    return answers


def assert_sampled(answers: list[tuple[list[int], Any]], count: int) -> None:
    """So many of the answers, chosen evenly, hold what plain transformers computes."""
    model = AutoModelForCausalLM.from_pretrained(BUNDLED, dtype=torch.float32).eval()
    for ids, answer in answers[:: max(1, len(answers) // count)]:
        expected = plain(model, ids)
        for candidate in answer.candidates:
            assert abs(candidate.probability - float(expected[candidate.token.token_id])) <= SAME, ids


@pytest.fixture(scope="module")
def small() -> Iterator[Tiers]:
    """Services whose cache is full before long."""
    with running({"NEXTTOKEN_CACHE_MB": "8"}) as tiers:
        yield tiers


@pytest.mark.slow_attack
async def test_many_clients(tiers: Tiers) -> None:
    with guarded(tiers, inference_mb=300):
        answers = await ask_all(tiers.target, itertools.islice(prompts(1), 600), 24)
    assert len(answers) == 600
    assert_sampled(answers, 40)


@pytest.mark.slow_attack
async def test_distinct_prompts_leave_memory_flat(small: Tiers) -> None:
    """Once the cache is full, twice as many again change nothing."""
    distinct = prompts(2)
    await ask_all(small.target, itertools.islice(distinct, 1500), AT_ONCE)
    guard: Guarded
    with guarded(small, inference_mb=30) as guard:
        answers = await ask_all(small.target, itertools.islice(distinct, 3000), AT_ONCE)
        guard.caller.more()
    assert_sampled(answers, 60)
