"""Which models can use the paged pass: decided by their configuration and by comparing numbers at load."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
import torch
from torch import Tensor
from transformers import PreTrainedModel

from inference_server.attention.batch import Batch, Segment
from inference_server.attention.paged_attention import IMPLEMENTATION, Pass, UnsupportedAttentionError, running
from inference_server.kvcache.kv_blocks import Layout
from inference_server.kvcache.radix_cache import BlockTable
from inference_server.runtime.model_runner import ModelRunner, forward

BLOCK_SIZE = 16
_TOLERANCE = 2e-5  # in probability; in float32, another order of additions changes less than 1e-6
_MOVING_ROPE = {"dynamic", "longrope"}  # a longer prompt changes the rotation of cached keys
_TRIAL_BLOCKS = 12
_KNOWN_LAYERS = {"full_attention", "sliding_attention"}

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Sample:
    """A prompt, alternatives after it, and the model's own logits: after each token, then after each alternative.

    Of three alternatives the last is the first again, which has the same logits when it comes alone.
    """

    prompt: list[int]
    alternatives: list[int]
    wanted: Tensor
    tolerance: float
    """In probability."""


def build_runner(
    model: PreTrainedModel,
    cache_bytes: int,
    block_size: int = BLOCK_SIZE,
    *,
    compiled: bool = True,
    graphs: bool | None = None,
) -> ModelRunner | None:
    """The fastest runner with the numbers of the model's own forward pass; None if there is none.

    `cache_bytes` bounds its blocks. `compiled` allows numba's kernels on a CPU; the first call compiles them, for some
    seconds. `graphs` uses steps of fixed shapes instead; None: on a GPU.
    """
    own = model.config._attn_implementation
    graphs = model.device.type == "cuda" if graphs is None else graphs
    try:
        _check_kind(model)
        sample = take_sample(model)
        _set_paged(model)
        layout = _layout(model, sample.prompt[:2], block_size)
        compiled = compiled and model.device.type == "cpu"
        ways = [{"graphs": True}] if graphs else [{"compiled": True, "fused": True}, {"compiled": True}] * compiled
        runner = ModelRunner(model, layout, cache_bytes, **_fastest(model, layout, sample, ways))
    except Exception as fault:  # whatever it is, the model's own pass is right
        logger.debug("paged pass not used", architecture=type(model).__name__, reason=str(fault))
        if model.config._attn_implementation != own:
            model.set_attn_implementation(own)
        return None
    runner.prepare()
    return runner


def _fastest(
    model: PreTrainedModel, layout: Layout, sample: Sample, ways: Sequence[Mapping[str, bool]]
) -> Mapping[str, bool]:
    """The first way with the model's numbers; raises UnsupportedAttentionError if even the plain one differs."""
    room = _TRIAL_BLOCKS * layout.block_bytes
    for way in ways:
        try:
            _check(ModelRunner(model, layout, room, **way), sample)
        except Exception as fault:  # numba may be missing or fail on this machine
            logger.debug("faster pass not used", architecture=type(model).__name__, way=[*way], reason=str(fault))
        else:
            return way
    _check(ModelRunner(model, layout, room), sample)
    return {}


def _check(runner: ModelRunner, sample: Sample) -> None:
    error = difference(_trial(runner, sample.prompt, sample.alternatives), sample.wanted)
    if not error <= sample.tolerance:
        raise UnsupportedAttentionError(f"a difference of {error:.1e} in probability")


def difference(some: Tensor, others: Tensor) -> float:
    """The largest in probability."""
    return float((some.softmax(-1) - others.softmax(-1)).abs().max())


def _check_kind(model: PreTrainedModel) -> None:
    """Raises UnsupportedAttentionError for a configuration that can't use the paged pass."""
    config = model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ())
    if not model._can_set_attn_implementation():
        raise UnsupportedAttentionError("its own attention")
    if not kinds <= _KNOWN_LAYERS or getattr(config, "attention_chunk_size", None) is not None:
        raise UnsupportedAttentionError(f"layers of kinds {sorted(kinds)}")
    if _rope_types(getattr(config, "rope_parameters", None) or {}) & _MOVING_ROPE:
        raise UnsupportedAttentionError("rotations that depend on the prompt's length")


def _set_paged(model: PreTrainedModel) -> None:
    model.set_attn_implementation(IMPLEMENTATION)


def take_sample(model: PreTrainedModel, choices: int = 3) -> Sample:
    """A prompt of more than two blocks, if the context allows, and up to three alternatives after it."""
    config = model.config.get_text_config()
    longest = getattr(config, "max_position_embeddings", None) or 4096
    draw = random.Random(0)  # noqa: S311 - any prompt will do
    tokens = [draw.randrange(config.vocab_size) for _ in range(min(37, longest - 2) + 2)]
    prompt, alternatives = tokens[:-2], [*tokens[-2:], tokens[-2]][:choices]
    wanted = _reference(model, prompt, alternatives)
    step = torch.finfo(wanted.dtype).eps * float(wanted.abs().max())  # between neighbouring logits
    return Sample(prompt, alternatives, wanted.float(), max(_TOLERANCE, step))


def _reference(model: Any, prompt: Sequence[int], alternatives: Sequence[int]) -> Tensor:
    """The logits after each token of the prompt and after each alternative, in the model's dtype."""
    once = list(dict.fromkeys(alternatives))
    prompts = [[*prompt, token] for token in once] or [[*prompt]]
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor(prompts, device=model.device), use_cache=False).logits
    after = [logits[once.index(token), len(prompt) :] for token in alternatives]
    return torch.cat((logits[0, : len(prompt)], *after))


def _layout(model: PreTrainedModel, prompt: list[int], block_size: int) -> Layout:
    """What each attention layer caches, seen in a trial pass. Raises UnsupportedAttentionError for other layers."""
    config = model.config.get_text_config()
    trial = Pass(Batch([Segment(BlockTable(blocks=[0] * len(prompt)), prompt)], 1), None)
    with running(trial):
        forward(model, prompt, list(range(len(prompt))), [len(prompt) - 1])
    if sorted(trial.shapes) != list(range(config.num_hidden_layers)):
        raise UnsupportedAttentionError(f"attention in layers {sorted(trial.shapes)} of {config.num_hidden_layers}")
    layers = [trial.shapes[layer] for layer in sorted(trial.shapes)]
    windowed = sum(layer.window is not None for layer in layers)
    kinds = list(getattr(config, "layer_types", None) or ())
    expected = kinds.count("sliding_attention")
    if windowed < expected or (getattr(config, "sliding_window", None) and not kinds and not windowed):
        raise UnsupportedAttentionError("a sliding window that its attention does not get")
    return Layout(layers, trial.dtype, block_size)


def _rope_types(parameters: Mapping[str, object]) -> set[object]:
    """The rope types in a model's parameters, which may be one set or one per kind of layer."""
    nested = [each for each in parameters.values() if isinstance(each, Mapping)]
    return {parameters.get("rope_type")}.union(*(_rope_types(each) for each in nested))


def _trial(runner: ModelRunner, prompt: list[int], alternatives: list[int]) -> Tensor:
    """The reference's rows by every path: first chunk, later chunk beside a prefix hit, alternatives, adoption."""
    cut, count = len(prompt) // 2 + 1, len(prompt)
    first = runner.open(prompt)
    rows = [runner.run([Segment(first, prompt[:cut], every_row=True)])]
    again = runner.open(prompt[: cut - 2])
    rows.append(runner.run([Segment(first, prompt[cut:-1], every_row=True), Segment(again, [prompt[cut - 2]])])[:-1])
    rows.append(runner.run([Segment(first, prompt[-1:])]))
    choices = runner.run([Segment(first, alternatives[:2], alternatives=True, keep=True), Segment(again, [0])])[:-1]
    single = runner.run([Segment(first, alternatives[2:])])
    for table in (first, again):
        runner.close(table)
    result = torch.cat([*rows, choices, single])
    if len(result) != count + len(alternatives):
        raise RuntimeError("This is a bug: the trial gave another number of rows than the reference.")
    return result
