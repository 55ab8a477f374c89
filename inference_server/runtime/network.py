"""A network read from its files: weights in memory, device and dtype settled, nothing computed yet.

On a CPU arithmetic is float32, and large models keep their weights in the 16 bits of their checkpoint. On a GPU both
are as in the checkpoint.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedConfig

from inference_server.cpu.dtype import checkpoint_dtype, choose_dtype
from inference_server.errors import LoadFailed
from inference_server.host import cpu_quota
from inference_server.models import block_scales, checkpoint, unread_tensors
from inference_server.models.adapter import Adapter
from inference_server.models.checkpoint import Weights
from inference_server.models.gguf_header import Header
from inference_server.runtime import (
    architecture,
    devices,
    gguf_network,
    lora,
    meta_model,
    packed_checkpoint,
    weight_loader,
)
from inference_server.runtime.devices import Place
from inference_server.runtime.packed_checkpoint import Packed, PackedCheckpoint
from inference_server.runtime.packed_layers import NONE, PackedLayers

EXACT = {"mxfp4", "mxfp8"}  # their scales are powers of two: 16 bits hold each product


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A network in evaluation mode, and what is known of it."""

    module: Any
    place: Place
    stated_limit: int
    """The context that its files state, in tokens."""
    compiled: bool
    """Whether numba's kernels compute with its weights."""
    format: str = ""
    """How its files hold the weights; empty: as plain numbers."""
    note: str = ""
    """What a user should know of how it was loaded; empty: nothing."""

    @classmethod
    def read(cls, folder: Path, device: str) -> "Network":
        """Reads a local folder: safetensors only, no code of its own, nothing fetched.

        `device` is one of the setting's values. Raises LoadFailed.
        """
        place = devices.find(device)
        torch.set_num_threads(min(torch.get_num_threads(), cpu_quota.allowed() or torch.get_num_threads()))
        config = architecture.configuration(folder)
        if (file := gguf_network.find(folder)) is not None:
            return cls._read_gguf(file, folder, config, place)
        weights = checkpoint.inspect(folder)
        quantizer, format_ = architecture.quantizer_of(config), architecture.format_of(config)
        method = packed_checkpoint.method_of(quantizer or {})
        unpacked: Mapping[str, Any] | None = None
        stored: Mapping[str, Packed] = {}
        if method in packed_checkpoint.FORMATS:
            found = PackedCheckpoint(folder, quantizer or {}, weights)
            config, weights, unpacked = architecture.without_quantizer(config), found.weights, found.tensors
            stored = found.packed
        plan = meta_model.draw(config, weights)
        if quantizer is None or unpacked is not None:
            unread_tensors.check_kinds(weights.tensors, plan.whole)
            meta_model.check_sizes(plan, weights)
        else:
            block_scales.check(quantizer, weights.tensors)
        packed = quantizer is not None and unpacked is None and not quantizer.get("dequantize")
        kept = PackedLayers.choose(stored if _may_stay(config, place) else {}, plan)
        method = "" if quantizer is None or (stored and len(kept.weights) == len(stored)) else method
        dtype, compiled = _dtype(weights, place, method, kept)
        if not compiled:
            kept = NONE
        needed = plan.bytes_at(dtype.itemsize) - dtype.itemsize * kept.elements + kept.bytes
        if packed:
            needed = weights.bytes
        weight_loader.check_room(needed, place)
        try:
            built = None if unpacked is None else {**unpacked, **kept.stand_in(dtype)}
            module = weight_loader.read(folder, config, dtype, place, plan, built)
            if quantizer is not None and unpacked is None and not packed:
                weight_loader.convert(module, dtype)
            if compiled:
                module, stayed = weight_loader.weight_only(module, folder, config, plan, unpacked, kept)
                if stayed and kept.weights:
                    setattr(module, gguf_network.FACTS, (plan.elements, format_))
        except Exception as error:
            raise failed(error, needed) from error
        stated_limit = checkpoint.context_limit(module.config.get_text_config(), folder)
        return cls(module, place, stated_limit, compiled, format_, _note(config, module))

    @classmethod
    def _read_gguf(cls, file: Header, folder: Path, config: PreTrainedConfig, place: Place) -> "Network":
        if place.several:
            raise LoadFailed(f"GGUF files need one device; set NEXTTOKEN_DEVICE to auto, cuda or cpu, not {place}")
        try:
            module, compiled = gguf_network.load(file, config, place.device)
        except Exception as error:
            if isinstance(error, LoadFailed):
                raise
            if weight_loader.is_out_of_memory(error):
                raise LoadFailed(f"out of memory while loading {file.path.name}") from error
            raise file.fault(f"it can't be loaded: {architecture.one_line(error)}") from error
        stated_limit = checkpoint.context_limit(module.config.get_text_config(), folder)
        return cls(module, place, stated_limit, compiled, getattr(module, gguf_network.FACTS)[1])

    def adapted(self, adapter: Adapter, base: str) -> "Network":
        """The same weights with an adapter's beside them; `base` is this model's name. Raises LoadFailed."""
        if self.place.several:
            raise LoadFailed("adapters need their base on one device; set NEXTTOKEN_DEVICE to auto, cuda or cpu")
        weight_loader.check_room(4 * adapter.elements, self.place)
        try:
            module = lora.adapt(self.module, adapter, base)
        except Exception as error:
            raise failed(error, 4 * adapter.elements) from error
        note = "; ".join(filter(None, (self.note, lora.note(adapter, base))))
        return replace(self, module=module, note=note)

    def shared(self) -> "Network":
        """Another network with the same weights in memory."""
        return replace(self, module=lora.share(self.module))


def failed(error: Exception, needed: int) -> LoadFailed:
    """Why loading failed, in words for users. `needed`: bytes asked for."""
    if isinstance(error, LoadFailed):
        return error
    if weight_loader.is_out_of_memory(error):
        return LoadFailed(weight_loader.out_of_memory(needed))
    return LoadFailed(f"transformers can't load it: {architecture.one_line(error)}")


def _may_stay(config: PreTrainedConfig, place: Place) -> bool:
    """Whether kernels could read packed weights. Of an image-text model the layers change places."""
    return place.device.type == "cpu" and not architecture.is_image_text(config)


def _dtype(weights: Weights, place: Place, method: str, kept: PackedLayers) -> tuple[torch.dtype, bool]:
    """The weights' dtype in memory, and whether numba's kernels widen them; on a CPU no scale is rounded to 16 bits.

    `method`: how those are packed that become plain.
    """
    if place.device.type != "cpu":
        return checkpoint_dtype(weights, place.device), False
    dtype, compiled = choose_dtype(weights, kept.weights)
    return (dtype if not method or method in EXACT else torch.float32), compiled


def _note(config: PreTrainedConfig, module: Any) -> str:
    whole = (config.architectures or [""])[0]
    return f"the text part of {whole}" if architecture.is_image_text(config) and whole else ""
