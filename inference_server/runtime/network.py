"""A network read from its files: weights in memory, device and dtype settled, nothing computed yet."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedConfig

from inference_server.errors import LoadFailed
from inference_server.host import cpu_quota
from inference_server.models import checkpoint
from inference_server.models.adapter import Adapter
from inference_server.models.gguf_header import Header
from inference_server.runtime import architecture, devices, gguf_network, lora, weight_loader
from inference_server.runtime.devices import Place
from inference_server.runtime.load_plan import LoadPlan


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
        plan, format_ = LoadPlan.of(folder, config, place), architecture.format_of(config)
        weight_loader.check_room(plan.needed, place)
        try:
            module, stayed = weight_loader.load(folder, plan, place)
        except Exception as error:
            raise failed(error, plan.needed) from error
        if stayed:
            setattr(module, gguf_network.FACTS, (plan.blueprint.elements, format_))
        stated_limit = checkpoint.context_limit(module.config.get_text_config(), folder)
        return cls(module, place, stated_limit, plan.compiled, format_, _note(plan.config, module))

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


def _note(config: PreTrainedConfig, module: Any) -> str:
    whole = (config.architectures or [""])[0]
    return f"the text part of {whole}" if architecture.is_image_text(config) and whole else ""
