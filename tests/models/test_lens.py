"""The lens on every architecture: each layer's logits, each part's share and every attention weight are those of plain
transformers with hooks; whatever way the prompt is computed."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
import transformers

from inference_server.cpu.weight_only_linear import replace_linears
from inference_server.kvcache.logits_cache import LogitsCache
from inference_server.runtime.executor import Executor
from inference_server.runtime.lens import Lens, build_lens, padded
from inference_server.runtime.model import Model
from inference_server.scheduler.worker import step
from inference_server.sequence import Sequence as Prompt
from inference_server.sequence import Trace
from models.inside import EVERY, NO_PARTS, WIDE, Inside, eager_attention, folder_of

VOCABULARY = 300
IDS = [(7 + 11 * at * at) % VOCABULARY for at in range(21)]  # longer than the sliding windows and two blocks' worth
CONTRAST = (17, 203)
LENS_ERROR = 1e-4


class Small(NamedTuple):
    """A model as the server has it, and as plain transformers does."""

    executor: Executor
    network: Any
    folder: Path

    def trace(self, ids: Sequence[int], **asked: Any) -> tuple[Trace, torch.Tensor, int]:
        """The trace, each layer's logits, and in how many steps."""
        trace = Trace(self.model.insight.layers + 1, **asked)
        prompt: Prompt[torch.Tensor] = Prompt(
            tuple(ids), self.executor, lambda _, rows: [row.clone() for row in rows], trace=trace, prefetch=False
        )
        steps = 0
        while not prompt.done:
            step([prompt])
            steps += 1
        return trace, torch.stack(prompt.outputs), steps

    @property
    def model(self) -> Model:
        return self.executor.model


def serve(folder: Path, cache_bytes: int = 2**22, *, weight_only: bool = False, step_tokens: int = 512) -> Executor:
    network = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype="float32").eval()
    if weight_only:
        replace_linears(network)
    model = Model.build(network, torch.device("cpu"), 64, cache_bytes, compiled=weight_only)
    return Executor(folder.name, model, LogitsCache(2**20), step_tokens, 60.0)


def fused(folder: Path) -> Executor:
    """As a server on a CPU has it, with the fused decoder."""
    executor = serve(folder, weight_only=True)
    assert executor.model.runner is not None
    assert executor.model.runner.fused
    return executor


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """From an architecture to a Small."""

    @cache
    def make(name: str) -> Small:
        folder = folder_of(name, tmp_path_factory.mktemp(name), VOCABULARY)
        network = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype="float32").eval()
        return Small(serve(folder), network, folder)

    return make


def assert_layers(found: torch.Tensor, wanted: Sequence[torch.Tensor]) -> None:
    assert len(found) == len(wanted)
    for row, expected in zip(found.double(), wanted, strict=True):
        torch.testing.assert_close(row.softmax(0), expected.softmax(0), atol=LENS_ERROR, rtol=0)
        torch.testing.assert_close(row, expected, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("name", EVERY)
def test_each_layer_speaks_through_the_models_own_norm_and_head(small: Any, name: str) -> None:
    at = small(name)
    trace, rows, _ = at.trace(IDS)
    inside = Inside(name, at.network, IDS)
    assert_layers(rows, inside.logits())
    torch.testing.assert_close(rows[-1].double().softmax(0), inside.final.softmax(0), atol=LENS_ERROR, rtol=0)
    assert (trace.contributions, trace.weights) == ([], [])
    assert at.model.insight.layers == len(inside.blocks)


@pytest.mark.parametrize("name", EVERY)
def test_every_parts_share_is_that_of_hooks_and_they_sum_to_the_difference(small: Any, name: str) -> None:
    at = small(name)
    if name in NO_PARTS:
        assert at.network.__class__.__name__ in at.model.insight.contrast_refusal
        return
    assert at.model.insight.contrast_refusal == ""
    trace, rows, _ = at.trace(IDS, contrast=CONTRAST)
    difference, shares = Inside(name, at.network, IDS).contributions(CONTRAST)
    found = [share for _, _, share in trace.contributions]
    assert found == pytest.approx(shares[: len(found)], abs=LENS_ERROR)
    assert all(each == 0 for each in shares[len(found) :])
    assert sum(found) == pytest.approx(trace.difference, abs=LENS_ERROR)
    assert trace.difference == pytest.approx(difference, abs=LENS_ERROR)
    capped = at.model.insight.capped
    assert capped == (name == "gemma2")
    if not capped:
        assert trace.difference == pytest.approx(float(rows[-1][CONTRAST[0]] - rows[-1][CONTRAST[1]]), abs=LENS_ERROR)
    parts = ["embedding", *["attention", "mlp"] * at.model.insight.layers, "bias"]
    assert [part for _, part, _ in trace.contributions] == parts[: len(found)]
    assert {layer for layer, _, _ in trace.contributions} == set(range(at.model.insight.layers + 1))


@pytest.mark.parametrize("name", EVERY)
def test_attention_is_that_of_an_eager_load(small: Any, name: str) -> None:
    at = small(name)
    if name in {*NO_PARTS, "falcon_alibi"}:  # the latter's eager attention differs from what it answers with
        assert at.network.__class__.__name__ in at.model.insight.attention_refusal
        return
    assert at.model.insight.attention_refusal == ""
    trace, _, _ = at.trace(IDS, attention=True)
    wanted = eager_attention(at.folder, IDS)
    assert len(trace.weights) == len(wanted)
    for found, expected in zip(map(torch.tensor, trace.weights), wanted, strict=True):
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
        sums = found.double().sum(-1)
        assert bool((sums < 1 - 1e-3).any()) == (name == "gpt_oss")  # the rest is its sinks'
        assert float(sums.max()) <= 1 + 1e-5
    at.trace(IDS)
    assert at.model.network.config._attn_implementation in ("nexttoken_paged", "sdpa", "eager")


@pytest.mark.parametrize("name", ["llama_wide", "mistral_sliding", "gemma2", "gpt2"])
def test_every_way_to_compute_a_prompt_gives_the_same(small: Any, name: str) -> None:
    at = small(name)
    inside = Inside(name, at.network, IDS)
    wanted, weights = inside.logits(), eager_attention(at.folder, IDS)
    asked: dict[str, Any] = {"contrast": CONTRAST, "attention": True}
    shares = inside.contributions(CONTRAST)[1]

    def assert_all(trace: Trace, rows: torch.Tensor) -> None:
        assert_layers(rows, wanted)
        found = [share for _, _, share in trace.contributions]
        assert found == pytest.approx(shares[: len(found)], abs=LENS_ERROR)
        for block, expected in zip(map(torch.tensor, trace.weights), weights, strict=True):
            torch.testing.assert_close(block, expected, atol=1e-5, rtol=0)

    chunked = Small(serve(at.folder, step_tokens=4), at.network, at.folder)
    cold, rows, steps = chunked.trace(IDS, **asked)
    assert steps == 7  # five chunks of 4, the last token, the three states
    assert_all(cold, rows)
    again, rows, steps = chunked.trace(IDS, **asked)
    assert steps == 2
    assert_all(again, rows)
    if name in WIDE:  # attention weights go around the fused decoder
        assert_all(*Small(fused(at.folder), at.network, at.folder).trace(IDS, **asked)[:2])
    tiny = serve(at.folder, cache_bytes=at.model.runner.store.block_bytes)
    assert tiny.model.runner is not None
    assert len(IDS) > tiny.model.runner.capacity
    trace, rows, steps = Small(tiny, at.network, at.folder).trace(IDS, **asked)
    assert steps == 2
    assert_all(trace, rows)


@pytest.mark.parametrize("name", WIDE)
def test_the_fused_decoder_tells_what_it_goes_through(small: Any, name: str) -> None:
    at = small(name)
    inside = Inside(name, at.network, IDS)
    fast = Small(fused(at.folder), at.network, at.folder)
    fast.trace(IDS)
    called = list[int]()
    fast.model.network.model.layers[0].self_attn.register_forward_hook(lambda *_: called.append(1))
    trace, rows, _ = fast.trace(IDS, contrast=CONTRAST)
    assert not called
    assert_layers(rows, inside.logits())
    difference, shares = inside.contributions(CONTRAST)
    found = [share for _, _, share in trace.contributions]
    assert found == pytest.approx(shares[: len(found)], abs=LENS_ERROR)
    assert trace.difference == pytest.approx(difference, abs=LENS_ERROR)


def test_a_trace_leaves_the_cache_and_the_model_as_a_click_would(small: Any) -> None:
    at = small("llama")
    runner = at.model.runner
    at.trace(IDS, contrast=CONTRAST, attention=True)
    at.trace(IDS)
    assert (runner.stats.open_prompts, runner.stats.stray_holds) == (0, 0)
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in at.model.network.modules())
    assert not any("forward" in vars(part) for part in at.model.network.modules())
    table = runner.open(IDS)
    assert len(table) == len(IDS)
    runner.close(table)


def test_an_architecture_whose_blocks_are_not_found_is_refused_by_name(small: Any) -> None:
    at = small("llama")
    network = transformers.AutoModelForCausalLM.from_pretrained(at.folder, dtype="float32").eval()
    network.config.num_hidden_layers = 7
    lens, insight = build_lens(network, at.model.whole_pass, paged=False, longest=64)
    assert (lens, insight.layers) == (None, 0)
    assert insight.layers_refusal == "Layers does not support LlamaForCausalLM: its blocks were not found"
    assert insight.layers_refusal == insight.contrast_refusal == insight.attention_refusal


def test_a_window_s_weights_stand_at_the_prompts_end() -> None:
    assert padded(torch.tensor([[0.25, 0.75]]), 4).tolist() == [[0.0, 0.0, 0.25, 0.75]]


def test_a_pass_that_stops_early_leaves_no_states(small: Any) -> None:
    lens = small("llama").model.lens
    assert isinstance(lens, Lens)
    trace = Trace(lens.rows)
    with lens.watching(trace, 1):
        pass
    assert trace.states is None
