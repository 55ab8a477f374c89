"""Which models the ragged pass fits: decided by what they ask of their attention and by comparing numbers at load."""

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

PAGE_TOKENS = 16
_TOLERANCE = 2e-5  # in probability; in float32, rounding in another order stays below 1e-6
_MOVING_ROPE = {"dynamic", "longrope"}  # rotations of stored keys that a longer prompt changes
_TRIAL_PAGES = 12
_KNOWN_LAYERS = {"full_attention", "sliding_attention"}

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Sample:
    """A prompt, alternatives after it, and the model's own logits: after each token, then after each alternative."""

    prompt: list[int]
    alternatives: list[int]
    wanted: Tensor
    tolerance: float
    """In probability."""


def build_runner(
    model: PreTrainedModel,
    cache_bytes: int,
    page_tokens: int = PAGE_TOKENS,
    *,
    compiled: bool = True,
    fixed: bool | None = None,
) -> ModelRunner | None:
    """The fastest runner whose numbers are those of the model's own forward pass; None where there is none.

    `cache_bytes` bounds what it stores. `compiled` allows, on a CPU, what numba compiles, for some seconds at the
    first call. `fixed` takes steps of fixed shapes instead; None: where there is a GPU to record them.
    """
    own = model.config._attn_implementation
    fixed = model.device.type == "cuda" if fixed is None else fixed
    try:
        _check_kind(model)
        sample = take_sample(model)
        _set_ragged(model)
        layout = _layout(model, sample.prompt, page_tokens)
        compiled = compiled and model.device.type == "cpu"
        ways = [{"fixed": True}] if fixed else [{"compiled": True, "fused": True}, {"compiled": True}] * compiled
        runner = ModelRunner(model, layout, cache_bytes, **_fastest(model, layout, sample, ways))
    except Exception as fault:  # whatever a model does with a pass it wasn't written for, its own path is right
        logger.debug("prompts of this model are computed whole", architecture=type(model).__name__, reason=str(fault))
        if model.config._attn_implementation != own:
            model.set_attn_implementation(own)
        return None
    runner.prepare()
    return runner


def _fastest(
    model: PreTrainedModel, layout: Layout, sample: Sample, ways: Sequence[Mapping[str, bool]]
) -> Mapping[str, bool]:
    """The first way that fits the model and gives its numbers. Raises UnsupportedAttentionError if not even none."""
    room = _TRIAL_PAGES * layout.page_bytes
    for way in ways:
        try:
            _check(ModelRunner(model, layout, room, **way), sample)
        except Exception as fault:  # numba may be absent, or fail on a machine in ways of its own
            logger.debug("no faster way", architecture=type(model).__name__, way=[*way], reason=str(fault))
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
    """Raises UnsupportedAttentionError for a model whose kind alone says that it does not fit, before any pass."""
    config = model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ())
    if not model._can_set_attn_implementation():
        raise UnsupportedAttentionError("an attention of its own")
    if not kinds <= _KNOWN_LAYERS or getattr(config, "attention_chunk_size", None) is not None:
        raise UnsupportedAttentionError(f"layers of kinds {sorted(kinds)}")
    if _rope_types(getattr(config, "rope_parameters", None) or {}) & _MOVING_ROPE:
        raise UnsupportedAttentionError("rotations that depend on the prompt's length")


def _set_ragged(model: PreTrainedModel) -> None:
    model.set_attn_implementation(IMPLEMENTATION)


def take_sample(model: PreTrainedModel, choices: int = 3) -> Sample:
    """A prompt of more than two pages, as far as the context allows, and up to three alternatives after it."""
    config = model.config.get_text_config()
    longest = getattr(config, "max_position_embeddings", None) or 4096
    draw = random.Random(0)  # noqa: S311 - any prompt will do
    tokens = [draw.randrange(config.vocab_size) for _ in range(min(37, longest - 2) + 3)]
    prompt, alternatives = tokens[:-3], tokens[-3:][:choices]
    wanted = _reference(model, prompt, alternatives)
    step = torch.finfo(wanted.dtype).eps * float(wanted.abs().max())  # between the largest logit and the next number
    return Sample(prompt, alternatives, wanted.float(), max(_TOLERANCE, step))


def _reference(model: Any, prompt: Sequence[int], alternatives: Sequence[int]) -> Tensor:
    """The logits after each token of the prompt, and after each alternative, in the bits the model gives them."""
    with torch.inference_mode():
        whole = model(input_ids=torch.tensor([prompt], device=model.device), use_cache=False).logits[0]
        longer = torch.tensor([[*prompt, token] for token in alternatives], device=model.device)
        rows = [model(input_ids=each[None], use_cache=False).logits[0, -1:] for each in longer]
        return torch.cat((whole, *rows))


def _layout(model: PreTrainedModel, prompt: list[int], page_tokens: int) -> Layout:
    """What each attention layer stores, seen in a trial pass. Raises UnsupportedAttentionError for other layers."""
    config = model.config.get_text_config()
    trial = Pass(Batch([Segment(BlockTable(pages=[0] * len(prompt)), prompt)], 1), None)
    with running(trial):
        forward(model, prompt, list(range(len(prompt))), [len(prompt) - 1])
    if sorted(trial.shapes) != list(range(config.num_hidden_layers)):
        raise UnsupportedAttentionError(f"attention in layers {sorted(trial.shapes)} of {config.num_hidden_layers}")
    layers = [trial.shapes[layer] for layer in sorted(trial.shapes)]
    windowed = sum(layer.window is not None for layer in layers)
    kinds = list(getattr(config, "layer_types", None) or ())
    expected = kinds.count("sliding_attention")
    if windowed < expected or (getattr(config, "sliding_window", None) and not kinds and not windowed):
        raise UnsupportedAttentionError("a sliding window that its attention isn't told of")
    return Layout(layers, trial.dtype, page_tokens)


def _rope_types(parameters: Mapping[str, object]) -> set[object]:
    """The rope types named in a model's parameters, which may be one set or one for each kind of layer."""
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
    for stored in (first, again):
        runner.close(stored)
    result = torch.cat([*rows, choices, single])
    if len(result) != count + len(alternatives):
        raise RuntimeError("This is a bug: the trial gave another number of rows than the reference.")
    return result
