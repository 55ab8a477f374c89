"""Times one step, its alternatives and its users on a random model in SmolLM2-360M's shape, weights in bfloat16.

    python tests/bench/step.py [--quick]

Every figure is the median of interleaved repeats, so that a busy machine slows both sides of a ratio. Prints a table,
then one line of JSON.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, DynamicCache, LlamaConfig

from inference_server.batch import Segment
from inference_server.capability import build_runner
from inference_server.held import hold
from inference_server.runner import RaggedRunner

FOLDER = Path(tempfile.gettempdir()) / "next-token-bench-360m"
VOCABULARY = 49152
SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 960,
    "num_hidden_layers": 32,
    "num_attention_heads": 15,
    "num_key_value_heads": 5,
    "intermediate_size": 2560,
    "max_position_embeddings": 8192,
    "tie_word_embeddings": True,
}


def checkpoint() -> Path:
    if not (FOLDER / "config.json").exists():
        torch.manual_seed(0)
        from_config: Callable[..., Any] = AutoModelForCausalLM.from_config
        from_config(LlamaConfig(**SHAPE), dtype=torch.bfloat16).save_pretrained(FOLDER)
    return FOLDER


def medians(works: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Milliseconds of each, taken in turn."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for round_number in range(repeats + 1):
        for name, work in works.items():
            start = time.perf_counter()
            work()
            if round_number:
                taken[name].append((time.perf_counter() - start) * 1e3)
    return {name: sorted(values)[len(values) // 2] for name, values in taken.items()}


class Prompts:
    """Prompts of given lengths held by a runner, to take steps from without moving on."""

    def __init__(self, runner: RaggedRunner) -> None:
        self._runner = runner
        self._draw = torch.Generator().manual_seed(1)

    def tokens(self, count: int) -> list[int]:
        return [int(each) for each in torch.randint(VOCABULARY, (count,), generator=self._draw)]

    def steps(self, lengths: list[int]) -> Callable[[], Any]:
        handles = []
        for length in lengths:
            tokens = self.tokens(length)
            handles.append(self._runner.open(tokens))
            self._runner.run([Segment(handles[-1], tokens)])
        return lambda: self._runner.run([Segment(handle, [7], alternatives=True, keep=True) for handle in handles])

    def branches(self, length: int, count: int) -> Callable[[], Any]:
        tokens = self.tokens(length)
        handle = self._runner.open(tokens)
        self._runner.run([Segment(handle, tokens)])
        return lambda: self._runner.run([Segment(handle, range(100, 100 + count), alternatives=True, keep=True)])

    def prefill(self, length: int) -> Callable[[], Any]:
        def work() -> None:
            tokens = self.tokens(length)
            handle = self._runner.open(tokens)
            self._runner.run([Segment(handle, tokens)])
            self._runner.close(handle)

        return work


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repeats, without plain transformers")
    repeats, quick = (5, True) if parser.parse_args().quick else (15, False)
    start = time.perf_counter()
    model = AutoModelForCausalLM.from_pretrained(checkpoint(), dtype=torch.bfloat16)
    model.train(False)
    hold(model)
    runner = build_runner(model, 1 << 31)
    assert isinstance(runner, RaggedRunner)
    load_s = time.perf_counter() - start
    stream = torch.cat([p.data.flatten() for p in model.parameters() if p.dtype == torch.bfloat16]).view(torch.int64)
    prompts = Prompts(runner)
    works: dict[str, Callable[[], Any]] = {
        "floor": lambda: stream.sum(),
        "step_512": prompts.steps([512]),
        "branches10_512": prompts.branches(512, 10),
        "step_64": prompts.steps([64]),
        "step_2048": prompts.steps([2048]),
        **{f"users{count}": prompts.steps([512] * count) for count in (2, 4, 8, 16)},
    }
    found = medians(works, repeats)
    slow: dict[str, Callable[[], Any]] = {"prefill_512": prompts.prefill(512)}
    if not quick:
        plain = AutoModelForCausalLM.from_pretrained(FOLDER, dtype=torch.float32)
        cache, ids = DynamicCache(), torch.tensor([prompts.tokens(512)])
        with torch.inference_mode():
            plain(ids, past_key_values=cache, logits_to_keep=1)

        @torch.inference_mode()
        def plain_step() -> None:
            plain(torch.tensor([[7]]), past_key_values=cache, logits_to_keep=1)
            cache.crop(-1)

        slow["plain_prefill_512"] = torch.inference_mode()(lambda: plain(ids, use_cache=False, logits_to_keep=1))
        slow["plain_step_512"] = plain_step
    found |= medians(slow, 3)
    for name, value in found.items():
        print(f"{name:20} {value:8.1f} ms")
    ratios = {
        "load_s": load_s,
        "step_over_floor": found["step_512"] / found["floor"],
        "lookahead10_over_step": found["branches10_512"] / found["step_512"],
        "click_flatness": found["step_2048"] / found["step_64"],
        "users16_throughput": 16 * found["step_512"] / found["users16"],
    }
    if not quick:
        ratios["prefill_over_plain"] = found["prefill_512"] / found["plain_prefill_512"]
        ratios["step_over_plain"] = found["step_512"] / found["plain_step_512"]
    print(json.dumps({**found, **ratios}))


if __name__ == "__main__":
    main()
