"""How a folder's safetensors come into memory, decided from their headers alone: dtype, what stays packed, bytes.

On a CPU arithmetic is float32, and large models keep their weights in the 16 bits of their checkpoint. On a GPU both
are as in the checkpoint.
"""

from collections.abc import Container, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedConfig

from inference_server.cpu.dtype import checkpoint_dtype, choose_dtype
from inference_server.models import block_scales, checkpoint, unread_tensors
from inference_server.models.checkpoint import Weights
from inference_server.runtime import architecture, meta_model, packed_checkpoint
from inference_server.runtime.devices import Place
from inference_server.runtime.meta_model import Blueprint
from inference_server.runtime.packed_checkpoint import PackedCheckpoint
from inference_server.runtime.packed_layers import NONE, PackedLayers

EXACT = {"mxfp4", "mxfp8"}  # their scales are powers of two: 16 bits hold each product


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """How a network is loaded."""

    config: PreTrainedConfig
    blueprint: Blueprint
    dtype: torch.dtype
    """That of plain weights, in memory."""
    compiled: bool
    """Whether numba's kernels compute with them."""
    needed: int
    """Bytes of the network."""
    converts: bool = False
    """Whether transformers leaves some of them in another dtype."""
    unpacked: Mapping[str, Any] | None = None
    """All weights by name, each a tensor once it is indexed with an ellipsis; None: they are read from the files."""
    wide: Set[str] = frozenset()
    """Names of those that keep the 32 bits they have in the files, where `dtype` has 16."""
    kept: PackedLayers = NONE
    """Those that stay packed."""

    @classmethod
    def of(cls, folder: Path, config: PreTrainedConfig, place: Place) -> "LoadPlan":
        """For a folder without a GGUF file. Raises LoadFailed for weights that can't be read truly."""
        quantizer, weights = architecture.quantizer_of(config), checkpoint.inspect(folder)
        if quantizer is None:
            return cls._plain(config, weights, place)
        if packed_checkpoint.method_of(quantizer) in packed_checkpoint.FORMATS:
            return cls._packed(config, PackedCheckpoint(folder, quantizer, weights), place)
        return cls._quantised(config, quantizer, weights, place)

    @classmethod
    def _plain(cls, config: PreTrainedConfig, weights: Weights, place: Place) -> "LoadPlan":
        """A few weights in 32 bits, such as norms or the biases of a router, do not widen the others."""
        blueprint = _fitting(config, weights)
        wide = _wide(weights, blueprint) if place.device.type == "cpu" else frozenset[str]()
        dtype, compiled = _dtype(weights, place, blueprint, wide)
        wide = wide & blueprint.read if dtype != torch.float32 else frozenset()
        return cls(config, blueprint, dtype, compiled, _bytes(blueprint, dtype, wide, compiled=compiled), wide=wide)

    @classmethod
    def _packed(cls, config: PreTrainedConfig, found: PackedCheckpoint, place: Place) -> "LoadPlan":
        """What stays packed does so where kernels read it; the rest becomes plain when it is read."""
        plain = architecture.without_quantizer(config)
        blueprint = _fitting(plain, found.weights)
        in_place = not architecture.is_image_text(config)  # of an image-text model the layers change places
        kept = PackedLayers.choose(found.packed if in_place and place.device.type == "cpu" else {}, blueprint)
        exact = len(kept.weights) == len(found.packed)
        dtype, compiled = _dtype(found.weights, place, blueprint, kept.weights, exact=exact)
        kept = kept if compiled else NONE
        needed = _bytes(blueprint, dtype, compiled=compiled) - dtype.itemsize * kept.elements + kept.bytes
        return cls(plain, blueprint, dtype, compiled, needed, unpacked=found.tensors, kept=kept)

    @classmethod
    def _quantised(
        cls, config: PreTrainedConfig, quantizer: Mapping[str, Any], weights: Weights, place: Place
    ) -> "LoadPlan":
        """As transformers reads it: into plain weights, or else as on a GPU."""
        blueprint = meta_model.draw(config, weights)
        block_scales.check(quantizer, weights.tensors)
        dtype, compiled = _dtype(weights, place, blueprint, exact=packed_checkpoint.method_of(quantizer) in EXACT)
        plain = bool(quantizer.get("dequantize"))
        needed = _bytes(blueprint, dtype, compiled=compiled) if plain else weights.bytes
        return cls(config, blueprint, dtype, compiled, needed, converts=plain)


def _fitting(config: PreTrainedConfig, weights: Weights) -> Blueprint:
    """The network that plain weights belong to. Raises LoadFailed."""
    blueprint = meta_model.draw(config, weights)
    unread_tensors.check_kinds(weights.tensors, blueprint.whole)
    meta_model.check_sizes(blueprint, weights)
    return blueprint


def _bytes(blueprint: Blueprint, dtype: torch.dtype, wide: Set[str] = frozenset(), *, compiled: bool) -> int:
    """Memory for a network with plain weights: kernels widen only those of some layers, the others are float32."""
    return blueprint.bytes_widened(dtype.itemsize, wide) if compiled else blueprint.bytes_at(dtype.itemsize)


def _wide(weights: Weights, blueprint: Blueprint) -> Set[str]:
    """Names of tensors in 32 bits beside those in 16; none if the network may have them by other names."""
    found = {name for name, each in weights.tensors.items() if each.kind == "F32"}
    named = found <= blueprint.read or blueprint.parameters.keys() <= weights.tensors.keys()
    return found if named and len(weights.kinds) > 1 else frozenset()


def _dtype(
    weights: Weights, place: Place, blueprint: Blueprint, apart: Container[str] = (), *, exact: bool = True
) -> tuple[torch.dtype, bool]:
    """The weights' dtype in memory, and whether numba's kernels widen them.

    `apart`: names of those that stay as they are. `exact`: whether 16 bits hold the others; on a CPU no scale is
    rounded, nor are constants of the network's code.
    """
    if place.device.type != "cpu":
        return checkpoint_dtype(weights, place.device), False
    dtype, compiled = choose_dtype(weights, apart)
    return (dtype if exact and not blueprint.rounds else torch.float32), compiled
