"""Which parts of a prompt push a token: what it costs, over HTTP.

On a random model in SmolLM2-360M's shape, of 512 tokens: hide on 25 sentences over a click, and on every token over a
prefill of as many. A user's clicks beside each method: their 95th percentile over the usual one, and the worst of the
three. On the published
SmolLM2-135M-Instruct, where `make real` has brought it, over 30 passages: of the tokens computed to take out all words,
the share until the strongest one is known, hide's rows and sentences included, the first and the last word left aside.
And the time of taking out every token of a passage over a loop of plain transformers.
"""

import asyncio
import contextlib
import json
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import published
import torch
import transformers
from tokenizers import Tokenizer

from bench import shape
from bench.clicks import ask, click, over_http
from bench.stack import percentile, running

PROMPT, SENTENCES = 512, 25
REPEATS = 5
CLICKS = 40
METHODS = ("hide", "take_out", "gradient")
IN_PROGRESS = 3  # edited prompts that may be computed beside the one that is told
ALL = 3  # passages of which every token is taken out, by us and by the loop
PASSAGES = Path(__file__).with_name("passages.txt")
UNHURRIED: dict[str, Any] = {"NEXTTOKEN_LOOKAHEAD": "0", "NEXTTOKEN_TIMEOUT_S": "600"}

Event = tuple[str, dict[str, Any]]


async def stream(session: aiohttp.ClientSession, url: str, **asked: Any) -> AsyncIterator[Event]:
    """The events of one influence request."""
    async with session.post(f"{url}/api/influence", json=asked) as answer:
        assert answer.status == 200, await answer.text()
        name = ""
        async for line in answer.content:
            field, _, value = line.decode().strip().partition(": ")
            name = value if field == "event" else name
            if field == "data":
                yield name, json.loads(value)


def session_without_limit() -> aiohttp.ClientSession:
    """For streams that take minutes on a slow machine."""
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None))


async def timed(session: aiohttp.ClientSession, url: str, **asked: Any) -> tuple[float, list[Event]]:
    """Milliseconds of a whole stream, and its events."""
    began = time.perf_counter()
    events = [event async for event in stream(session, url, **asked)]
    assert events[-1][0] == "done", events[-1]
    return (time.perf_counter() - began) * 1e3, events


def sentences(chance: random.Random) -> list[int]:
    """A prompt of random words in as many sentences as asked for."""
    tokenizer = Tokenizer.from_file(str(shape.folder() / "tokenizer.json"))
    words = [
        i for text, i in tokenizer.get_vocab().items() if text[:1] == "Ġ" and text[1:].isalpha() and text[1:].istitle()
    ]
    stop = tokenizer.get_vocab()["."]
    ids = [chance.choice(words) for _ in range(PROMPT)]
    size = PROMPT // SENTENCES
    for at in range(1, SENTENCES):
        ids[at * size] = stop
    return ids


async def hiding(session: aiohttp.ClientSession, url: str) -> dict[str, float]:
    """Hide, over clicks and over prefills."""
    chance, coarse, fine, prefills = random.Random(11), list[float](), list[float](), list[float]()
    clicks, _ = await click(over_http(session, f"{url}/api/next-token"), PROMPT, CLICKS, 0.0, seed=12)
    for _ in range(REPEATS):
        ids = sentences(chance)
        began = time.perf_counter()
        answer = await ask(session, f"{url}/api/next-token", ids)
        prefills.append((time.perf_counter() - began) * 1e3)
        target = answer["candidates"][0]["token_id"]
        spent, events = await timed(session, url, token_ids=ids, target=target, unit="sentence")
        assert len(events) == SENTENCES + 2, len(events)
        coarse.append(spent)
        spent, events = await timed(session, url, token_ids=ids, target=target, unit="token")
        assert len(events) == PROMPT + 1, len(events)
        fine.append(spent)
    middle = percentile(clicks, 0.5)
    return {
        "hide_sentences_ms": percentile(coarse, 0.5),
        "hide_sentences_over_click": percentile(coarse, 0.5) / middle,
        "hide_tokens_over_prefill": percentile(fine, 0.5) / percentile(prefills, 0.5),
    }


async def beside(session: aiohttp.ClientSession, url: str) -> dict[str, float]:
    """A user's clicks while another measures tokens, over the usual ones; both wait a little between clicks."""
    question = over_http(session, f"{url}/api/next-token")
    usual, _ = await click(question, PROMPT, CLICKS, 0.05, seed=13)
    figures = dict[str, float]()
    for seed, method in enumerate(METHODS, 14):
        begun = asyncio.Event()
        work = asyncio.create_task(endless(session, url, method, sentences(random.Random(seed)), begun))
        await begun.wait()
        among, _ = await click(question, PROMPT, CLICKS, 0.05, seed=-seed)
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work
        figures[f"clicks_beside_{method}"] = percentile(among, 0.95) / percentile(usual, 0.95)
    return {**figures, "clicks_beside_influence": max(figures.values())}


async def endless(session: aiohttp.ClientSession, url: str, method: str, ids: list[int], begun: asyncio.Event) -> None:
    """Measures the tokens of a text again and again, once the text itself is computed."""
    while True:
        async for name, event in stream(session, url, token_ids=ids, target=5, unit="token", method=method):
            assert name != "error", event
            begun.set()


def share(events: list[Event]) -> float:
    """Of one take_out: the work until the strongest word was told, over that of taking out every word."""
    start, changes = events[0][1], [event for name, event in events if name == "change"]
    units, count = start["units"], start["token_count"]
    words = [at for at, unit in enumerate(units) if unit["kind"] == "word"]
    cost = {at: max(1, count - unit["end"]) for at, unit in enumerate(units)}
    taken = [each for each in changes if each["method"] == "take_out"]
    found = {each["unit"]: abs(each["log_odds_change"]) for each in taken}
    inner = [at for at in words if units[at]["start"] and units[at]["end"] < count]
    strongest = max(inner, key=found.__getitem__)
    order = [each["unit"] for each in taken]
    told = order[: order.index(strongest) + 1 + IN_PROGRESS]
    spent = sum(each["method"] == "hide" for each in changes) + sum(cost[at] for at in told)
    return float(spent / sum(cost[at] for at in words))


def naive(folder: Path, ids: list[int]) -> float:
    """Milliseconds of a loop over the edited prompts, by transformers alone."""
    network = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.inference_mode():
        network(torch.tensor([ids]))
        began = time.perf_counter()
        for at in range(len(ids)):
            network(torch.tensor([ids[:at] + ids[at + 1 :]])).logits[0, -1].log_softmax(-1)
    return (time.perf_counter() - began) * 1e3


async def taking_out(folder: Path) -> dict[str, float]:
    """On the real model."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    passages = [tokenizer.encode(line).ids for line in PASSAGES.read_text(encoding="utf-8").splitlines()]
    shares = list[float]()
    async with running(model=str(folder), **UNHURRIED) as stack, session_without_limit() as session:
        for ids in passages:
            assert 40 <= len(ids) <= 120, len(ids)
            answer = await ask(session, f"{stack.url}/api/next-token", ids)
            asked = {"token_ids": ids, "target": answer["candidates"][0]["token_id"], "method": "take_out"}
            shares.append(share((await timed(session, stack.url, **asked))[1]))
        ratios = list[float]()
        for fresh in [ids[::-1] for ids in passages[:ALL]]:
            whole, _ = await timed(session, stack.url, token_ids=fresh, target=5, unit="token", method="take_out")
            ratios.append(whole / await asyncio.to_thread(naive, folder, fresh))
    return {
        "take_out_strongest": percentile(shares, 0.9),
        "take_out_strongest_median": percentile(shares, 0.5),
        "take_out_all": percentile(ratios, 0.5),
    }


async def measure() -> dict[str, float]:
    """All figures of this benchmark; prints them as a table."""
    async with (
        running(model=str(shape.folder()), **UNHURRIED) as stack,
        session_without_limit() as session,
    ):
        figures = await hiding(session, stack.url)
        figures |= await beside(session, stack.url)
    if (folder := published.find(published.MODEL)) is not None:
        figures |= await taking_out(folder)
    print(f"influence: {SENTENCES} sentences and {PROMPT} tokens hidden, words and tokens taken out")
    for name, value in figures.items():
        print(f"  {name:28} {value:10.3f}")
    return {name: round(value, 3) for name, value in figures.items()}


if __name__ == "__main__":
    asyncio.run(measure())
