"""Weights held in 16 bits give the probabilities of a float32 load, layer by layer and in the compiled pass."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor
from transformers import PreTrainedModel

from inference_server.attention.batch import Segment
from inference_server.cpu import weight_only_linear
from inference_server.runtime.capability import build_runner
from inference_server.runtime.model_runner import ModelRunner
from models.shapes import PAGED, VOCABULARY, build

PROMPT = [int(token) for token in torch.randint(3, VOCABULARY, (60,), generator=torch.Generator().manual_seed(2))]
FUSED: dict[str, dict[str, Any]] = {
    "LlamaConfig": {"attention_bias": True, "mlp_bias": True},
    "MistralConfig": {"sliding_window": 20},
    "Qwen2Config": {"tie_word_embeddings": True},
    "Qwen3Config": {},
}
Reference = Callable[[Sequence[int]], Tensor]


@pytest.fixture(autouse=True, scope="module", params=[1, 2])
def threads(request: pytest.FixtureRequest) -> None:
    torch.set_num_threads(request.param)


def reference_of(model: PreTrainedModel) -> Reference:
    plain: Any = copy.deepcopy(model)
    plain.to(torch.float32)

    def reference(token_ids: Sequence[int]) -> Tensor:
        with torch.inference_mode():
            logits: Tensor = plain(torch.tensor([token_ids]), use_cache=False).logits[0]
        return logits.softmax(-1)

    return reference


def same(logits: Tensor, wanted: Tensor) -> bool:
    return float((logits.softmax(-1) - wanted).abs().max()) < 1e-4


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 11, 40, 107])
@pytest.mark.parametrize(("outputs", "width"), [(37, 203), (1, 16), (64, 64), (3, 5), (130, 2048)])
def test_held_linear(dtype: torch.dtype, rows: int, outputs: int, width: int) -> None:
    """By either way, in one panel and in several."""
    weight, bias, x = torch.randn(outputs, width).to(dtype), torch.randn(outputs), torch.randn(1, rows, width)
    layer, wanted = (
        weight_only_linear.WeightOnlyLinear(weight, bias),
        torch.nn.functional.linear(x, weight.float(), bias),
    )
    for layer.most_rows in (0, rows):
        torch.testing.assert_close(layer(x), wanted, rtol=1e-4, atol=2e-4)


@pytest.mark.parametrize("name", ["llama-tied-biased", "gpt2", "opt", "gemma2", "mixtral", "phi3"])
def test_held_architectures(name: str) -> None:
    """Conv1D, tied and scaled embeddings, biases and experts keep their numbers."""
    model: Any = build(name).bfloat16()
    reference = reference_of(model)
    weight_only_linear.replace_linears(model)
    runner = build_runner(model, 1 << 20)
    assert runner is not None
    stored = runner.open(PROMPT)
    assert same(runner.run([Segment(stored, PROMPT[:40], every_row=True)]), reference(PROMPT[:40]))
    assert same(runner.run([Segment(stored, PROMPT[40:43])])[0], reference(PROMPT[:43])[-1])


def test_weights_are_not_copied() -> None:
    model: Any = build("llama-tied-biased").bfloat16()
    place = model.get_input_embeddings().weight.data_ptr()
    weight_only_linear.replace_linears(model)
    assert model.get_input_embeddings().weight.data_ptr() == place
    assert model.lm_head.weight.data_ptr() == place


@pytest.fixture(params=[(kind, dtype) for kind in FUSED for dtype in (torch.bfloat16, torch.float32)], ids=str)
def fused(request: pytest.FixtureRequest) -> tuple[ModelRunner, Reference]:
    kind, dtype = request.param
    shape = {**PAGED["qwen3"][1], "hidden_size": 48, "head_dim": 16, "intermediate_size": 72, **FUSED[kind]}
    torch.manual_seed(3)
    from_config: Callable[..., Any] = transformers.AutoModelForCausalLM.from_config
    model = from_config(getattr(transformers, kind)(**shape))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(1 if parameter.ndim == 1 else 0, 0.3)
    model = model.to(dtype)
    reference = reference_of(model)
    weight_only_linear.replace_linears(model)
    runner = build_runner(model, 1 << 20)
    assert runner is not None
    assert runner.fused
    return runner, reference


def test_fused_steps(fused: tuple[ModelRunner, Reference]) -> None:
    """Single tokens of several prompts, alternatives and adoption, at block borders and beyond a window."""
    runner, reference = fused
    prompts = [PROMPT[:length] for length in (1, 15, 16, 17, 33, 60)]
    handles = [runner.open(prompt) for prompt in prompts]
    for handle, prompt in zip(handles, prompts, strict=True):
        if len(handle) < len(prompt):
            runner.run([Segment(handle, prompt[len(handle) :])])
    choices = [4, 5, 6]
    segments = [Segment(handle, [9]) for handle in handles[:-1]]
    logits = runner.run([*segments, Segment(handles[-1], choices, alternatives=True, keep=True)])
    wanted = [[*prompt, 9] for prompt in prompts[:-1]] + [[*PROMPT, choice] for choice in choices]
    assert same(logits, torch.stack([reference(tokens)[-1] for tokens in wanted]))
    adopted = runner.adopt(handles[-1], 5)
    assert adopted is not None
    for position, token in enumerate((7, 8, 9), 1):
        logits = runner.run([Segment(adopted, [token])])
        assert same(logits[0], reference([*PROMPT, 5, *(7, 8, 9)[:position]])[-1])
    again = runner.open([*PROMPT, 5, 7, 8, 9])
    assert len(again) == len(PROMPT) + 4
