"""Steps on a CUDA GPU: `make bench-gpu`. A table for people, the last line of standard output for programs.

A random model in SmolLM2-360M's shape, in bfloat16, after prompts of 512 tokens. Each step is measured recorded, layer
by layer and by plain transformers, in turn, until its logits lie on the CPU. The floor is what moving as many bytes as
the weights have would take, at the speed of a large copy within the device. Numbers are held to plain transformers.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, DynamicCache

from bench import shape
from bench.step import Prompts, medians
from inference_server.attention.batch import Segment
from inference_server.runtime.capability import build_runner
from inference_server.runtime.model_runner import ModelRunner

REPEATS = 30
MOST_ROWS = 32
STORED_BYTES = 4 << 30
COPIED_BYTES = 1 << 30
GOAL = 3.0  # times the floor, for one row


def measure(
    folder: Path,
    device: torch.device,
    *,
    context: int = 512,
    repeats: int = REPEATS,
    stored_bytes: int = STORED_BYTES,
    copied_bytes: int = COPIED_BYTES,
) -> dict[str, float]:
    """All figures of this benchmark; prints them as a table. Raises ArithmeticError where numbers differ."""
    recorded, layered = (_runner(_load(folder, device), stored_bytes, graphs=graphs) for graphs in (True, False))
    plain = _load(folder, device)
    weights = sum(each.numel() * each.itemsize for each in plain.parameters())
    vocabulary = plain.config.vocab_size
    difference, allowed = _difference(recorded, plain, Prompts(recorded, vocabulary).tokens(context))
    source = torch.zeros(copied_bytes // 8, dtype=torch.int64, device=device)
    target = torch.empty_like(source)
    works: dict[str, Callable[[], Any]] = {
        "copy": lambda: target.copy_(source)[-1].cpu(),
        "plain_step": _plain_step(plain, Prompts(recorded, vocabulary).tokens(context)),
    }
    for name, runner in (("recorded", recorded), ("layered", layered)):
        prompts = Prompts(runner, vocabulary)
        works |= {
            f"{name}_{rows}": _to_the_end(prompts.steps([context] * rows)) for rows in (1, 2, 4, 8, 16, MOST_ROWS)
        }
        works[f"{name}_branches10"] = _to_the_end(prompts.branches(context, 10))
    found = medians(works, repeats)
    bandwidth = 2 * copied_bytes / found["copy"]  # bytes a millisecond, read and written
    found["floor"] = weights / bandwidth
    print(f"one pass, {context} tokens before it, {weights / 1e6:.0f} MB of weights, milliseconds")
    for name, value in found.items():
        print(f"  {name:24} {value:10.3f}")
    print(f"largest difference from plain transformers in probability: {difference:.1e}, allowed {allowed:.1e}")
    if not difference <= allowed:
        raise ArithmeticError(f"recorded steps differ from plain transformers by {difference:.1e} in probability")
    ratios = {
        "gpu_step_ms": found["recorded_1"],
        "gpu_step_over_floor": found["recorded_1"] / found["floor"],
        "gpu_layered_over_recorded": found["layered_1"] / found["recorded_1"],
        "gpu_plain_over_recorded": found["plain_step"] / found["recorded_1"],
        "gpu_lookahead10_over_step": found["recorded_branches10"] / found["recorded_1"],
        "gpu_users32_tokens_s": 1000 * MOST_ROWS / found[f"recorded_{MOST_ROWS}"],
        "gpu_copy_gb_s": bandwidth / 1e6,
        "gpu_difference": difference,
    }
    return {name: float(f"{value:.4g}") for name, value in ratios.items()}


def _load(folder: Path, device: torch.device) -> Any:
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    return model.eval().to(device)


def _runner(model: Any, stored_bytes: int, *, graphs: bool) -> ModelRunner:
    runner = build_runner(model, stored_bytes, compiled=False, graphs=graphs)
    if runner is None or runner.uses_graphs != graphs:
        raise ArithmeticError("no step of fixed shapes gives the numbers of plain transformers; the log says why")
    return runner


def _to_the_end(work: Callable[[], Any]) -> Callable[[], Any]:
    """The work, waited for."""
    return lambda: work().cpu()


def _plain_step(model: Any, tokens: list[int]) -> Callable[[], Any]:
    cache = DynamicCache()
    with torch.inference_mode():
        model(torch.tensor([tokens], device=model.device), past_key_values=cache, logits_to_keep=1)

    @torch.inference_mode()
    def step() -> None:
        model(torch.tensor([[7]], device=model.device), past_key_values=cache, logits_to_keep=1).logits.float().cpu()
        cache.crop(-1)

    return step


def _difference(runner: ModelRunner, plain: Any, tokens: list[int]) -> tuple[float, float]:
    """The largest in probability over steps and branches, and what one step of the format at the largest logit is."""
    stored = runner.open(tokens)
    runner.run([Segment(stored, tokens)])
    choices = range(10, 20)
    rows = [runner.run([Segment(stored, [token], alternatives=True)])[0] for token in choices]
    rows += runner.run([Segment(stored, choices, alternatives=True)])
    runner.close(stored)
    with torch.inference_mode():
        ids = [torch.tensor([[*tokens, token]], device=plain.device) for token in choices]
        own: Tensor = torch.cat([plain(each, use_cache=False, logits_to_keep=1).logits[0] for each in ids])
    step = torch.finfo(own.dtype).eps * float(own.abs().max())
    wanted = own.float().softmax(-1).repeat(2, 1)
    return float((torch.stack(rows).softmax(-1) - wanted).abs().max()), step


def main() -> int:
    """0 where everything was measured and the numbers are right."""
    if not torch.cuda.is_available():
        print("bench.gpu measures on a CUDA GPU, and this machine shows none", file=sys.stderr)
        return 1
    device = torch.device("cuda", 0)
    print(f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}, CUDA {torch.version.cuda}")
    try:
        figures = measure(shape.folder(), device)
    except ArithmeticError as fault:
        print(fault, file=sys.stderr)
        return 1
    print(f"goal: a step of one row in at most {GOAL} times the floor; measured {figures['gpu_step_over_floor']}")
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
