"""Memory: what a loaded model takes over its checkpoint, and what a cached token takes over its keys and values.

Resident memory of the inference server once the model is ready, read from the system. The floor is the same server
with the bundled model alone: Python, torch, transformers and gRPC, before any large model. The libraries are a process
that has imported torch, gRPC and the classes of the model and its tokenizer, and loaded one kernel compiled before: no
service, no weights, no buffer. A token's theoretical bytes are its keys and values in float32 in all layers.
"""

import asyncio
import json
import random
import sys
from pathlib import Path

import aiohttp

from bench import shape
from bench.clicks import ask
from bench.stack import resident_mb, running

LIBRARIES = """
import grpc.aio, psutil, torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast
from inference_server.cpu.kernels import layouts, objects, team
team.body(objects.Kernel.DECODER), team.function(objects.Kernel.PRODUCT_OF_KIND, layouts.BFLOAT16)
print(psutil.Process().memory_info().rss / 1e6)
"""
PROMPTS = 4
LENGTH = 2_000


def theoretical_bytes(folder: Path) -> int:
    """Of one token's keys and values."""
    config = json.loads((folder / "config.json").read_text())
    width = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    return int(config["num_hidden_layers"] * config["num_key_value_heads"] * width * 2 * 4)


async def libraries_mb() -> float:
    """Of a process that does nothing with what it has imported."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", LIBRARIES, stdout=asyncio.subprocess.PIPE)
    told, _ = await process.communicate()
    return float(told)


async def measure() -> dict[str, float]:
    """All figures of this benchmark; prints them as a table."""
    folder = shape.folder()
    checkpoint_mb = sum(path.stat().st_size for path in folder.glob("*.safetensors")) / 1e6
    figures = {"checkpoint_mb": checkpoint_mb, "libraries_mb": await libraries_mb()}
    async with running() as stack:
        figures["resident_floor_mb"] = resident_mb(stack.inference)
    async with (
        running(model=str(folder), NEXTTOKEN_LOOKAHEAD="0", NEXTTOKEN_TIMEOUT_S="600") as stack,
        aiohttp.ClientSession() as session,
    ):
        url, chance = f"{stack.url}/api/next-token", random.Random(11)
        figures["resident_mb"] = resident_mb(stack.inference)
        ids = [chance.randrange(shape.VOCABULARY) for _ in range(LENGTH)]
        await ask(session, url, ids)  # what a long prompt needs while it is computed
        before = resident_mb(stack.inference)
        for _ in range(PROMPTS):
            await ask(session, url, [chance.randrange(shape.VOCABULARY) for _ in range(LENGTH)])
        grown = (resident_mb(stack.inference) - before) * 1e6
    figures["resident_over_checkpoint"] = figures["resident_mb"] / checkpoint_mb
    figures["libraries_over_checkpoint"] = figures["libraries_mb"] / checkpoint_mb
    above = figures["resident_mb"] - figures["resident_floor_mb"]
    figures["resident_above_floor_over_checkpoint"] = above / checkpoint_mb
    figures["cached_token_bytes"] = grown / (PROMPTS * LENGTH)
    figures["cached_token_bytes_over_theory"] = figures["cached_token_bytes"] / theoretical_bytes(folder)
    print(f"memory of the inference server, SmolLM2-360M's shape in bfloat16; {PROMPTS} prompts of {LENGTH} tokens")
    for name, value in figures.items():
        print(f"  {name:36} {value:12.2f}")
    return {name: round(value, 3) for name, value in figures.items()}
