"""One step in the engine, its alternatives and its users, on a random model in SmolLM2-360M's shape, held in bfloat16.

Every figure is the median of interleaved repeats, so that a busy machine slows both sides of a ratio. The floor is
reading the 16-bit weights once; plain transformers runs the same model in float32.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from transformers import AutoModelForCausalLM, DynamicCache

from bench import shape
from bench.shape import VOCABULARY
from inference_server.attention.batch import Segment
from inference_server.cpu.autotune import calibrate
from inference_server.cpu.weight_only_linear import replace_linears
from inference_server.runtime.capability import build_runner
from inference_server.runtime.model_runner import ModelRunner

REPEATS = 15
SLOW_REPEATS = 3


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

    def __init__(self, runner: ModelRunner, vocabulary: int = VOCABULARY) -> None:
        self._runner = runner
        self._vocabulary = vocabulary
        self._draw = torch.Generator().manual_seed(1)

    def tokens(self, count: int) -> list[int]:
        return [int(each) for each in torch.randint(self._vocabulary, (count,), generator=self._draw)]

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
        return lambda: self._runner.run([Segment(handle, range(10, 10 + count), alternatives=True, keep=True)])

    def prefill(self, length: int) -> Callable[[], Any]:
        def work() -> None:
            tokens = self.tokens(length)
            handle = self._runner.open(tokens)
            self._runner.run([Segment(handle, tokens)])
            self._runner.close(handle)

        return work


def measure() -> dict[str, float]:
    """All figures of this benchmark; prints them as a table."""
    model = AutoModelForCausalLM.from_pretrained(shape.folder(), dtype=torch.bfloat16)
    model.train(False)
    replace_linears(model)
    calibrate(model)
    runner = build_runner(model, 1 << 31)
    assert isinstance(runner, ModelRunner)
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
    found = medians(works, REPEATS)
    with ThreadPoolExecutor(1) as other:  # a thread that has computed, and its helpers, which wait beside ours
        other.submit(works["floor"]).result()
        found |= medians({"step_512_beside_idle_helpers": works["step_512"]}, REPEATS)
    plain = AutoModelForCausalLM.from_pretrained(shape.folder(), dtype=torch.float32)
    cache, ids = DynamicCache(), torch.tensor([prompts.tokens(512)])
    with torch.inference_mode():
        plain(ids, past_key_values=cache, logits_to_keep=1)

    @torch.inference_mode()
    def plain_step() -> None:
        plain(torch.tensor([[7]]), past_key_values=cache, logits_to_keep=1)
        cache.crop(-1)

    slow: dict[str, Callable[[], Any]] = {
        "prefill_512": prompts.prefill(512),
        "plain_prefill_512": torch.inference_mode()(lambda: plain(ids, use_cache=False, logits_to_keep=1)),
        "plain_step_512": plain_step,
    }
    found |= medians(slow, SLOW_REPEATS)
    print("one pass in the engine, SmolLM2-360M's shape in bfloat16, milliseconds")
    for name, value in found.items():
        print(f"  {name:30} {value:10.1f}")
    ratios = {
        "step_over_floor": found["step_512"] / found["floor"],
        "step_beside_idle_helpers": found["step_512_beside_idle_helpers"] / found["step_512"],
        "lookahead10_over_step": found["branches10_512"] / found["step_512"],
        "step_2048_over_64": found["step_2048"] / found["step_64"],
        "pass16_over_pass1": 16 * found["step_512"] / found["users16"],
        "prefill_over_plain": found["prefill_512"] / found["plain_prefill_512"],
        "step_over_plain": found["step_512"] / found["plain_step_512"],
    }
    return {name: round(value, 3) for name, value in ratios.items()}
