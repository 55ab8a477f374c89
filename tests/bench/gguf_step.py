"""Packed weights and adapters in the engine: a step and a prefill beside 16-bit weights, and a GGUF file's memory.

The random model in SmolLM2-360M's shape, as a Q4_1 file, in GPTQ's 4 bits, in bfloat16, and in bfloat16 with a LoRA
adapter on all linear layers but the head, all in one process and in turn, so that a busy machine slows both sides of a
ratio. `python -m bench.gguf_step 7b`: once, a step of random Q4_K weights in the shape of a 7-billion-parameter model.
"""

import asyncio
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import LlamaConfig

from bench import gguf_file, packed_folder, shape
from bench.stack import resident_mb, running
from bench.step import REPEATS, SLOW_REPEATS, Prompts, medians
from inference_server.cpu.autotune import calibrate
from inference_server.cpu.packed_linear import PackedEmbedding, PackedLinear, random_blocks
from inference_server.cpu.weight_only_linear import WeightOnlyLinear, replace_linears
from inference_server.engine import gguf_folder
from inference_server.runtime import gguf_network
from inference_server.runtime.capability import build_runner
from inference_server.runtime.lora import LoraLinear
from inference_server.runtime.model import Model
from inference_server.runtime.model_runner import ModelRunner

KIND = "q4_1"
RANK = 16
LARGE = LlamaConfig(
    vocab_size=32_000,
    hidden_size=4096,
    num_hidden_layers=32,
    num_attention_heads=32,
    num_key_value_heads=32,
    intermediate_size=11_008,
    max_position_embeddings=4096,
    tie_word_embeddings=False,
)


def packed(path: Path) -> ModelRunner:
    """A file as the server loads it."""
    with gguf_folder.unpacked(path) as folder:
        return fused(folder)


def fused(folder: Path) -> ModelRunner:
    """A folder as the server loads it."""
    runner = Model.load(folder, "cpu", 1 << 30).runner
    assert runner is not None
    assert runner.fused
    return runner


def halves(adapter: bool = False) -> ModelRunner:
    """The same model in bfloat16, and with an adapter beside it."""
    model: Any = transformers.AutoModelForCausalLM.from_pretrained(shape.folder(), dtype=torch.bfloat16).eval()
    replace_linears(model)
    calibrate(model)
    for name, layer in list(model.model.named_modules()) if adapter else ():
        if isinstance(layer, WeightOnlyLinear):
            a, b = torch.randn(RANK, layer.in_features) / 30, torch.randn(layer.out_features, RANK) / 30
            model.model.set_submodule(name, LoraLinear(layer, a, b, 2.0))
    runner = build_runner(model, 1 << 30)
    assert runner is not None
    assert runner.fused
    return runner


def speeds() -> dict[str, float]:
    """Milliseconds of a step after 512 tokens, alone and for four prompts together, and of a prefill of 512."""
    sides = {
        "gguf": Prompts(packed(gguf_file.file(KIND))),
        "gptq": Prompts(fused(packed_folder.folder())),
        "16bit": Prompts(halves()),
        "adapter": Prompts(halves(adapter=True)),
    }
    steps = {f"{name}_step": each.steps([512]) for name, each in sides.items()}
    steps |= {f"{name}_step_of_4": each.steps([512] * 4) for name, each in sides.items()}
    found = medians(steps, REPEATS)
    return found | medians({f"{name}_prefill": each.prefill(512) for name, each in sides.items()}, SLOW_REPEATS)


async def measure() -> dict[str, float]:
    """All figures of this benchmark; prints them as a table."""
    path = gguf_file.file(KIND)
    found = await asyncio.to_thread(speeds)
    async with running() as stack:
        floor = resident_mb(stack.inference)
    async with running(model=str(path), NEXTTOKEN_LOOKAHEAD="0", NEXTTOKEN_TIMEOUT_S="600") as stack:
        found["resident_mb"] = resident_mb(stack.inference)
    print("Q4_1, 4 bits of GPTQ and an adapter beside bfloat16, SmolLM2-360M's shape: milliseconds; the server's MB")
    for name, value in found.items():
        print(f"  {name:30} {value:10.1f}")
    ratios = {
        "gguf_step_over_16bit_step": found["gguf_step"] / found["16bit_step"],
        "gguf_step_of_4_over_16bit_step_of_4": found["gguf_step_of_4"] / found["16bit_step_of_4"],
        "gptq_step_over_16bit_step": found["gptq_step"] / found["16bit_step"],
        "gptq_prefill_over_16bit_prefill": found["gptq_prefill"] / found["16bit_prefill"],
        "adapter_step_over_16bit_step": found["adapter_step"] / found["16bit_step"],
        "gguf_prefill_over_16bit_prefill": found["gguf_prefill"] / found["16bit_prefill"],
        "gguf_resident_over_file": (found["resident_mb"] - floor) / (path.stat().st_size / 1e6),
    }
    return {name: round(value, 3) for name, value in ratios.items()}


def large() -> dict[str, float]:
    """Of a 7-billion-parameter shape in Q4_K: gigabytes of its weights and of the process, milliseconds of a step."""
    network = gguf_network.empty(LARGE)
    drawn: dict[tuple[int, int], torch.Tensor] = {}
    for name, module in list(network.named_modules()):
        weight = getattr(module, "weight", None)
        if weight is None:
            continue
        if weight.ndim == 1:
            module.weight = torch.nn.Parameter(torch.ones(weight.shape), requires_grad=False)
            continue
        outputs, width = weight.shape
        if (outputs, width) not in drawn:
            drawn[outputs, width] = random_blocks("Q4_K", outputs, width // 256)
        blocks = drawn[outputs, width].clone()
        embeds = isinstance(module, torch.nn.Embedding)
        network.set_submodule(name, PackedEmbedding("Q4_K", blocks) if embeds else PackedLinear("Q4_K", blocks, None))
    drawn.clear()
    calibrate(network)
    taken = sum(each.nbytes for each in network.parameters()) / 1e9
    runner = build_runner(network.eval(), 1 << 30)
    assert runner is not None
    prompts = Prompts(runner, LARGE.vocab_size)
    began = time.perf_counter()
    step = prompts.steps([128])
    prefill_s = time.perf_counter() - began
    found = medians({"step_ms": step}, 5)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return {"weights_gb": taken, "peak_gb": peak, "fused": float(runner.fused), "prefill_128_s": prefill_s, **found}


if __name__ == "__main__":
    print(json.dumps(large() if sys.argv[1:] == ["7b"] else asyncio.run(measure())))
