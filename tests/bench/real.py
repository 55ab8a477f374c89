"""SmolLM2-135M-Instruct as it is published, where `make real` has brought it: is it right, and how quick is a click?

The error is the largest difference of a shown probability from plain transformers in float32. Clicks are on shown bars,
at random among the first ten, after a second of thought.
"""

import asyncio
import random
import time
from pathlib import Path

import aiohttp
import published
import torch
import transformers
from tokenizers import Tokenizer

from bench.clicks import SHOWN, THOUGHT_S, ask
from bench.stack import percentile, running

TEXTS = ("The capital of France is", "x =  5", "def add(a, b):\n    return", "In 2024, the  price rose by 3.5")
CLICKS = 40


def plain(folder: Path, prompts: list[list[int]]) -> list[torch.Tensor]:
    """The probabilities after each prompt, by transformers alone."""
    network = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.inference_mode():
        return [network(torch.tensor([ids])).logits[0, -1].softmax(-1) for ids in prompts]


async def measure() -> dict[str, float]:
    """All figures of this benchmark, none without the model; prints them as a table."""
    folder = published.find(published.MODEL)
    if folder is None:
        print(f"no figures of {published.MODEL}: `make real` fetches it")
        return {}
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    prompts = [tokenizer.encode(text).ids for text in TEXTS]
    expected = await asyncio.to_thread(plain, folder, prompts)
    errors, taken, hits = list[float](), list[float](), 0
    async with (
        running(model=str(folder), NEXTTOKEN_LOOKAHEAD=str(SHOWN)) as stack,
        aiohttp.ClientSession() as session,
    ):
        url = f"{stack.url}/api/next-token"
        for ids, truth in zip(prompts, expected, strict=True):
            bars = (await ask(session, url, ids))["candidates"]
            errors += [abs(bar["probability"] - float(truth[bar["token_id"]])) for bar in bars]
        answer = await ask(session, url, ids := list(prompts[0]))
        top = answer["candidates"][0]
        assert top["text"] == " Paris", top
        chance = random.Random(3)
        for _ in range(CLICKS):
            await asyncio.sleep(THOUGHT_S)
            ids.append(chance.choice(answer["candidates"])["token_id"])
            began = time.perf_counter()
            answer = await ask(session, url, ids)
            taken.append((time.perf_counter() - began) * 1e3)
            hits += answer["lookahead_hit"]
    figures = {
        "real_top1": top["probability"],
        "real_probability_error": max(errors),
        "real_instant_click_ms": percentile(taken, 0.5),
        "real_instant_hit_share": hits / CLICKS,
    }
    print(f"{published.MODEL} as published, two tiers")
    for name, value in figures.items():
        print(f"  {name:26} {value:12.7f}")
    return {name: round(value, 7) for name, value in figures.items()}


if __name__ == "__main__":
    asyncio.run(measure())
