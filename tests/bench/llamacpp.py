"""One token after a stored prompt, in our engine and in llama.cpp. Part of `make bench`; alone, `make bench-llamacpp`.

The same random model in SmolLM2-360M's shape, two threads each, in one process and in turn. Ratios are medians over
the rounds, since a shared machine's speed drifts. Ours holds the weights in bfloat16 and computes in float32. llama.cpp
reads them from GGUF files in bfloat16, float16 and float32, with its defaults, which store keys and values in float16.
A Q4_1 file is read by both; ours computes it in float32 too, llama.cpp rounds activations to 8 bits. Prefills of 512
tokens are compared one side at a time, each after an untimed one. Generating is compared in llamacpp_generate, each
side in a process of its own. llama.cpp's prompt stays stored as ours does: each step drops the token of the step before
and evaluates another one, through the C interface, until the logits lie there. Where the extra `llamacpp` is not
installed (it compiles for ten minutes), there is nothing to compare with, and no figure.
"""

import ctypes
import importlib.util
import json
import random
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModelForCausalLM

from bench import shape
from inference_server.attention.batch import Segment
from inference_server.cpu.weight_only_linear import replace_linears
from inference_server.runtime.capability import build_runner
from inference_server.runtime.model_runner import ModelRunner

THREADS = 2
PROMPT = 512
ROUNDS = 25
STEPS = 4  # in a row of one side, the first of them untimed: threads of the other side may still be awake
PREFILLS = 3
PACKED = "q4_1"
MOST = {
    "bf16": 0.05,
    "f16": 0.02,
    "f32": 0.02,
    PACKED: 0.1,
}  # by how much logits may differ, over their spread: by what it rounds

Logits = NDArray[np.float32]


class LlamaCpp:
    """A GGUF file in llama.cpp, with one prompt stored."""

    def __init__(self, path: str, prompt: Sequence[int], vocabulary: int) -> None:
        from llama_cpp import llama_cpp as api

        self._api: Any = api
        self._silent = api.llama_log_callback(lambda level, text, data: None)
        api.llama_log_set(self._silent, ctypes.c_void_p(0))
        api.llama_backend_init()
        self._model = api.llama_model_load_from_file(path.encode(), api.llama_model_default_params())
        if not self._model:
            raise RuntimeError(f"llama.cpp can't load {path}")
        settings = api.llama_context_default_params()
        settings.n_ctx, settings.n_batch = 2 * PROMPT, PROMPT
        settings.n_threads = settings.n_threads_batch = THREADS
        self._context = api.llama_init_from_model(self._model, settings)
        self._length, self._vocabulary = len(prompt), vocabulary
        self._evaluate(prompt)

    def step(self, token_id: int) -> Logits:
        """Logits (vocabulary,) after the prompt and one more token, which the next step replaces."""
        api = self._api
        api.llama_memory_seq_rm(api.llama_get_memory(self._context), 0, self._length, -1)
        self._evaluate([token_id])
        row = api.llama_get_logits_ith(self._context, -1)
        return np.ctypeslib.as_array(row, (self._vocabulary,))

    def prefill(self, prompt: Sequence[int]) -> None:
        """Computes a prompt with nothing stored."""
        self._api.llama_memory_clear(self._api.llama_get_memory(self._context), True)
        self._evaluate(prompt)

    def generate(self, prompt: Sequence[int], count: int, seed: int) -> list[float]:
        """When each of that many tokens was there, in seconds: drawn at temperature 1, with nothing stored before."""
        api = self._api
        sampler = api.llama_sampler_init_dist(seed)
        times, following = list[float](), prompt
        api.llama_memory_clear(api.llama_get_memory(self._context), True)
        for _ in range(count):
            self._evaluate(following)
            following = [api.llama_sampler_sample(sampler, self._context, -1)]
            times.append(time.perf_counter())
        api.llama_sampler_free(sampler)
        return times

    def close(self) -> None:
        self._api.llama_free(self._context)
        self._api.llama_model_free(self._model)

    def _evaluate(self, token_ids: Sequence[int]) -> None:
        tokens = (ctypes.c_int32 * len(token_ids))(*token_ids)
        failed = self._api.llama_decode(self._context, self._api.llama_batch_get_one(tokens, len(token_ids)))
        if failed:
            raise RuntimeError(f"llama.cpp can't evaluate {len(token_ids)} tokens: {failed}")


def halves() -> ModelRunner:
    """Our engine on bfloat16 weights."""
    model: Any = AutoModelForCausalLM.from_pretrained(shape.folder(), dtype=torch.bfloat16)
    model.train(False)
    replace_linears(model)
    runner = build_runner(model, 1 << 30)
    assert isinstance(runner, ModelRunner)
    return runner


def ours(runner: ModelRunner, prompt: Sequence[int]) -> Callable[[int], Logits]:
    """Our engine's step after a stored prompt."""
    stored = runner.open(prompt)
    runner.run([Segment(stored, prompt)])
    return lambda token_id: runner.run([Segment(stored, [token_id], alternatives=True, keep=True)])[0].numpy()


def difference(found: Logits, wanted: Logits) -> float:
    """Of two rows of logits, over the spread of one."""
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted - wanted.mean()))


def rounds(steps: dict[str, Callable[[int], Logits]]) -> dict[str, list[float]]:
    """Milliseconds of each side's step in every round: the median of several in a row, sides taken in turn."""
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(ROUNDS):
        for name, step in steps.items():
            here = list[float]()
            for at in range(STEPS):
                start = time.perf_counter()
                step(7 + at)
                here.append((time.perf_counter() - start) * 1e3)
            taken[name].append(median(here[1:]))
    return taken


def measure() -> dict[str, float]:
    """All figures of this benchmark, none without llama.cpp; prints them as a table.

    Raises ArithmeticError where the two sides do not compute the same.
    """
    absent = [name for name in ("llama_cpp", "gguf") if importlib.util.find_spec(name) is None]
    if absent:
        print(f"no comparison with llama.cpp: {', '.join(absent)} not installed; make bench-llamacpp does it")
        return {}
    from bench import gguf_file, gguf_step, llamacpp_generate

    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    prompt = random.Random(1).choices(range(shape.VOCABULARY), k=PROMPT)
    runners = {"ours": halves(), f"ours {PACKED}": gguf_step.packed(gguf_file.file(PACKED))}
    own, own_packed = (ours(runner, prompt) for runner in runners.values())
    others = {kind: LlamaCpp(str(gguf_file.file(kind)), prompt, shape.VOCABULARY) for kind in MOST}
    wanted = {kind: (own_packed if kind == PACKED else own)(7).copy() for kind in MOST}
    apart = {kind: difference(other.step(7), wanted[kind]) for kind, other in others.items()}
    wrong = [kind for kind, value in apart.items() if not value <= MOST[kind]]
    if wrong:
        raise ArithmeticError(
            f"llama.cpp computes something else from {', '.join(wrong)}: its logits differ by {apart}"
        )
    sides = {"ours": own, f"ours {PACKED}": own_packed, **{kind: other.step for kind, other in others.items()}}
    found = rounds(sides)
    prefills = {
        "prefill_llamacpp_ratio": prefilled(runners["ours"], others["bf16"]),
        "gguf_prefill_llamacpp_ratio": prefilled(runners[f"ours {PACKED}"], others[PACKED]),
    }
    for other in others.values():
        other.close()
    files = [str(gguf_file.file(kind)) for kind in ("bf16", "f16")]
    generated = llamacpp_generate.measure(files, THREADS)
    torch.set_num_threads(before)
    print(
        f"one token after {PROMPT}, {THREADS} threads: milliseconds, logits' difference over their spread, ours over it"
    )
    print(f"  {'ours':24} {median(found['ours']):10.1f}")
    over = {}
    for kind, value in apart.items():
        mine = found[f"ours {PACKED}" if kind == PACKED else "ours"]
        over[kind] = median(one / other for one, other in zip(mine, found[kind], strict=True))
        print(f"  {'llama.cpp ' + kind:24} {median(found[kind]):10.1f} {value:10.1e} {over[kind]:10.2f}")
    ratios = {"llamacpp_step_ratio": max(over["bf16"], over["f16"]), "llamacpp_f32_step_ratio": over["f32"]}
    ratios |= {"gguf_llamacpp_step_ratio": over[PACKED], **prefills, **generated}
    return {name: round(value, 3) for name, value in ratios.items()}


def prefilled(runner: ModelRunner, other: LlamaCpp) -> float:
    """Our seconds for a prompt of PROMPT new tokens over llama.cpp's, medians of each."""
    chance = random.Random(2)
    prompts = [chance.choices(range(shape.VOCABULARY), k=PROMPT) for _ in range(PREFILLS + 1)]

    def compute(prompt: Sequence[int]) -> None:
        table = runner.open(prompt)
        runner.run([Segment(table, prompt)])
        runner.close(table)

    taken = []
    for work in (compute, other.prefill):
        here = []
        for prompt in prompts:
            start = time.perf_counter()
            work(prompt)
            here.append(time.perf_counter() - start)
        taken.append(median(here[1:]))
    return taken[0] / taken[1]


if __name__ == "__main__":
    print(json.dumps(measure()))
