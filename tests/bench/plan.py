"""Whether the simulation behind capacity plans tells the truth: three real servers under a load, then simulated.

`python -m bench.plan` prints both and one line of JSON.
Three inference servers of one thread each, a gateway and the program that plays the visitors share this machine. The
visitors of both runs are the same: texts, bars, pauses and sessions, and so each session's replica. What steps and
requests cost is measured right before and right after, since a machine's speed drifts. The simulation's figures are
medians of DRAWS runs on either, between which the times of steps vary. It knows no other programs:
`plan_others_cores`, the cores that they used, should be near 0. PLAN_KEEP names a file for what was measured.
"""

import asyncio
import contextlib
import json
import os
import re
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import median

import aiohttp
import msgspec
import psutil
from capacity.load import BARS, Action, Load, visit
from capacity.outcome import Outcome
from capacity.profile import Profile
from capacity.simulation import Simulation, Site
from ports import free_port

from bench import shape
from bench.stack import wait_ready
from inference_server.settings import Settings as ServerSettings
from web_gateway.settings import Settings as GatewaySettings

FOLDER = Path(__file__).parents[2] / "build" / "bench-plan"
HOSTS = ("127.0.0.1", "127.0.0.2", "127.0.0.3")
USERS = 8
SECONDS = 75.0
DRAWS = 9
SEED = 7
LOAD = Load(clicks=12, think_s=0.8, prompt_tokens=48, openings=6, visitors_per_address=1_000_000)  # all at 127.0.0.1
CALM = {"OMP_NUM_THREADS": "1", "NEXTTOKEN_LOG_LEVEL": "warning", "HF_HUB_OFFLINE": "1"}
TOPK_CALLS = re.compile(r"^nexttoken_inference_calls_total\{.*rpc=\"TopK\".*\} [1-9]", re.MULTILINE)
BOUND = 0.2
"""How far the simulation may be from what was measured."""


def folder() -> Path:
    """A random model of 57 million parameters in bfloat16, made once."""
    return shape.saved(
        FOLDER,
        hidden_size=576,
        num_hidden_layers=8,
        num_attention_heads=9,
        num_key_value_heads=3,
        intermediate_size=1536,
    )


@contextlib.asynccontextmanager
async def process(module: str, *arguments: str, **settings: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A Python module in a process of its own, until the end of the block."""
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        *arguments,
        env=os.environ | CALM | settings,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield running
    finally:
        if running.returncode is None:
            running.terminate()
        await running.wait()


@contextlib.asynccontextmanager
async def site() -> AsyncIterator[tuple[str, list[str]]]:
    """Three servers behind a gateway: its address and theirs, once each of them answers."""
    model, port = str(folder()), str(free_port())
    addresses = [f"{host}:{free_port()}" for host in HOSTS]
    monitors = [str(free_port()) for _ in HOSTS]
    async with contextlib.AsyncExitStack() as stack:
        gateway = {"NEXTTOKEN_PORT": port, "NEXTTOKEN_INFERENCE_TARGET": "ipv4:" + ",".join(addresses)}
        for address, monitor in zip(addresses, monitors, strict=True):
            host, _, grpc_port = address.partition(":")
            place = {"NEXTTOKEN_GRPC_HOST": host, "NEXTTOKEN_GRPC_PORT": grpc_port, "NEXTTOKEN_METRICS_PORT": monitor}
            model_here = {"NEXTTOKEN_MODEL": model, "NEXTTOKEN_READY_WHEN": "default"}
            await stack.enter_async_context(process("inference_server", **place, **model_here))
        await stack.enter_async_context(process("web_gateway", **gateway))
        url = f"http://127.0.0.1:{port}"
        async with aiohttp.ClientSession() as session:
            await wait_ready(session, url, model)
            await warm(session, url, monitors)
        yield url, addresses


async def warm(session: aiohttp.ClientSession, url: str, monitors: list[str]) -> None:
    """Asks until each replica has answered; while one starts, the others answer in its place."""
    for number in range(2_000):
        headers = {"x-session": f"warm-{number}"}
        async with session.post(f"{url}/api/next-token", json={"text": "Once"}, headers=headers) as answer:
            answer.raise_for_status()
        pages = [await page(session, f"http://127.0.0.1:{monitor}/metrics") for monitor in monitors]
        if all(map(TOPK_CALLS.search, pages)):
            return
        await asyncio.sleep(0.05)
    raise TimeoutError("a replica does not answer")


async def page(session: aiohttp.ClientSession, url: str) -> str:
    """A page's text; empty where nobody listens yet."""
    with contextlib.suppress(aiohttp.ClientError):
        async with session.get(url) as answer:
            return await answer.text()
    return ""


class Player:
    """Plays visits over HTTP as the simulation does, and keeps the same account."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.outcome = Outcome(seconds=SECONDS)
        self._session, self._url = session, url

    async def user(self, first: int, over: float) -> None:
        """One visit after another."""
        number = first
        while time.perf_counter() < over:
            each, ids, bars = visit(LOAD, SEED, number), list[int](), list[int]()
            for action in each.actions:
                await asyncio.sleep(action.think_s)
                if time.perf_counter() >= over:
                    return
                ids += [bars[action.bar]] if action.kind == "click" else action.tokens
                bars = await self._ask(each.session, ids, action) or bars
            number += USERS

    async def _ask(self, session: str, ids: list[int], action: Action) -> list[int]:
        """Asks until there is an answer; the ids of its bars."""
        path = "score" if action.kind == "score" else "next-token"
        while True:
            began = time.perf_counter()
            self.outcome.asked += 1
            body = {"token_ids": ids, "top_k": BARS}
            async with self._session.post(
                f"{self._url}/api/{path}", json=body, headers={"x-session": session}
            ) as answer:
                found = await answer.json()
            if answer.status == 200:
                self.outcome.answers.append((action.kind, time.perf_counter() - began))
                self.outcome.hits += action.kind == "click" and found["lookahead_hit"]
                return [bar["token_id"] for bar in found.get("candidates", [])]
            self.outcome.refused[str(answer.status)] += 1
            if answer.status != 429:
                return []
            await asyncio.sleep(float(answer.headers["retry-after"]))


def spent_s() -> tuple[float, float]:
    """Core seconds of this machine so far, with those taken by its host; and those of this process and its children."""
    times, me = psutil.cpu_times(), psutil.Process()
    busy = sum(times) - times.idle - times.iowait - times.guest - times.guest_nice
    return busy, sum(sum(each.cpu_times()[:2]) for each in (me, *me.children(recursive=True)))


async def measured() -> tuple[Outcome, list[str], float]:
    """What visitors met on the real services, the replicas' addresses, and how many cores other programs used."""
    async with site() as (url, addresses), aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        player = Player(session, url)
        before, over = spent_s(), time.perf_counter() + SECONDS
        await asyncio.gather(*(player.user(number, over) for number in range(USERS)))
        busy, own = (now - earlier for now, earlier in zip(spent_s(), before, strict=True))
    return player.outcome, addresses, max(0.0, busy - own) / SECONDS


async def service_times() -> Profile:
    """The costs of one thread of this machine."""
    async with process("bench.service_times", str(folder())) as running:
        printed, _ = await running.communicate()
    return msgspec.json.decode(printed, type=Profile)


def simulated(profile: Profile, addresses: list[str]) -> list[Outcome]:
    """What they meet in the simulation, several times."""
    place = Site(addresses, 1, ServerSettings(), GatewaySettings(), one_machine=profile.cores)
    runs = [Simulation(profile, LOAD, place, SEED) for _ in range(DRAWS)]
    for draw, run in enumerate(runs):
        run.chance.seed(draw)
    return [run.crowd(USERS, SECONDS) for run in runs]


def compared(real: Outcome, told: list[Outcome]) -> dict[str, float]:
    """The figures of both, and how far they are apart."""
    figures: dict[str, float] = {}
    for name, outcomes in (("measured", [real]), ("simulated", told)):
        figures[f"plan_{name}_requests"] = median(len(each.answers) for each in outcomes)
        figures[f"plan_{name}_refused"] = median(each.refused.total() for each in outcomes)
        figures[f"plan_{name}_hit_share"] = median(each.hit_share for each in outcomes)
        for share in (50, 95, 99):
            figures[f"plan_{name}_p{share}_ms"] = median(each.percentile_ms(share / 100) for each in outcomes)
    for share in (50, 95):
        ratio = figures[f"plan_simulated_p{share}_ms"] / figures[f"plan_measured_p{share}_ms"]
        figures[f"plan_p{share}_off"] = abs(ratio - 1)
    return figures


async def measure() -> dict[str, float]:
    """All figures of this benchmark; prints them as a table."""
    before = await service_times()
    real, addresses, others = await measured()
    after = await service_times()
    told = [*simulated(before, addresses), *simulated(after, addresses)]
    figures = {"plan_others_cores": others, **compared(real, told)}
    print(f"{USERS} visitors of three replicas on {before.cores} cores, {SECONDS:.0f} s, measured and simulated")
    for name, value in figures.items():
        print(f"  {name:28} {value:10.3f}")
    held = max(figures["plan_p50_off"], figures["plan_p95_off"]) <= BOUND
    print(f"  p50 and p95 {'are' if held else 'are NOT'} within {BOUND:.0%}")
    kept = json.dumps([msgspec.to_builtins([before, after]), addresses, others, real.answers])
    await asyncio.to_thread(Path(os.environ.get("PLAN_KEEP", os.devnull)).write_text, kept)
    return {name: round(value, 3) for name, value in figures.items()}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure())))
