"""Sampler steps and the orders in which others apply them."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

Step: TypeAlias = Mapping[str, Any]
"""One step by its name, as in the contract's Sampler: {"top_k": 40}, {"xtc": {"probability": 0.5}}, {"ban": [3, 4]},
{"logit_bias": {17: 2.5}}, {"mask": {"choices": ["yes", "no"]}}, {"mask": {"json_schema": {"type": "object"}}}."""

TRANSFORMERS = (
    "mask",
    "logit_bias",
    "repetition_penalty",
    "ban",
    "temperature",
    "top_h",
    "top_k",
    "top_p",
    "min_p",
    "typical_p",
    "epsilon",
    "eta",
)
"""The order of transformers' processors, after a mask."""

LLAMA_CPP = (
    "mask",
    "logit_bias",
    "ban",
    "repetition_penalty",
    "frequency_penalty",
    "presence_penalty",
    "top_n_sigma",
    "top_k",
    "typical_p",
    "top_p",
    "min_p",
    "xtc",
    "temperature",
)
"""The default order of llama.cpp's samplers, after a mask."""


def ordered(steps: Step, order: Sequence[str] = TRANSFORMERS) -> list[Step]:
    """Steps, given by name, in this order; those that it lacks come last, as they are given."""
    places = {name: at for at, name in enumerate(order)}
    return [{name: steps[name]} for name in sorted(steps, key=lambda name: places.get(name, len(order)))]
