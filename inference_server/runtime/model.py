"""Loading a causal language model: its weights, device and dtype, what it can do, and how its prompts are computed.

On a CPU arithmetic is float32, and large models keep their weights in the 16 bits of their checkpoint. On a GPU both
are as in the checkpoint.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedConfig

from inference_server.cpu.dtype import checkpoint_dtype, choose_dtype
from inference_server.errors import LoadFailed
from inference_server.host import cpu_quota
from inference_server.messages import ModelFacts
from inference_server.models import checkpoint, unread_tensors
from inference_server.models.gguf_header import Header
from inference_server.runtime import architecture, gguf_network, meta_model, model_probe, weight_loader
from inference_server.runtime.capability import build_runner
from inference_server.runtime.gradient import Gradient
from inference_server.runtime.hf_cache import HFCache, build_hf_cache
from inference_server.runtime.lens import UNTOLD, Insight, Lens, build_lens
from inference_server.runtime.model_probe import Capabilities
from inference_server.runtime.model_runner import ModelRunner
from inference_server.runtime.whole_pass import WholePass, no_context
from inference_server.sampling import log_partition


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A loaded network and the ways to compute its prompts. Its passes belong to one thread at a time."""

    network: Any
    device: torch.device
    capabilities: Capabilities
    whole_pass: WholePass
    runner: ModelRunner | None
    """Passes over cached blocks; None if the architecture does not fit them."""
    hf_cache: HFCache | None
    """Without a runner: the network's own caches; None if it can't continue from them."""
    gradient: Gradient
    lens: Lens | None = None
    """What shows the states between its blocks; None if they can't be told."""
    insight: Insight = UNTOLD
    """What can be told of them."""

    @classmethod
    def load(cls, folder: Path, device: str, cache_bytes: int = 0) -> "Model":
        """Reads a local folder: safetensors only, no code of its own, nothing fetched.

        `device` is auto, cpu, cuda or mps. The cache takes at most `cache_bytes`, and at most half of what the weights
        leave of a GPU's memory; with too few for a single block there is none. Raises LoadFailed.
        """
        place = _device(device)
        torch.set_num_threads(min(torch.get_num_threads(), cpu_quota.allowed() or torch.get_num_threads()))
        config = architecture.configuration(folder)
        if (file := gguf_network.find(folder)) is not None:
            return cls._load_gguf(file, folder, config, place, cache_bytes)
        weights = checkpoint.inspect(folder)
        plan = meta_model.draw(config, weights)
        quantizer = architecture.quantizer_of(config)
        if quantizer is None:
            unread_tensors.check_kinds(weights.tensors, plan.whole)
            meta_model.check_sizes(plan, weights)
        packed = quantizer is not None and not quantizer.get("dequantize")
        dtype, compiled = choose_dtype(weights) if place.type == "cpu" else (checkpoint_dtype(weights, place), False)
        needed = weights.bytes if packed else plan.bytes_at(dtype.itemsize)
        weight_loader.check_room(needed, place)
        try:
            network = weight_loader.read(folder, config, dtype).to(place)
            if compiled:
                network = weight_loader.weight_only(network, folder, config, plan)
            stated_limit = checkpoint.context_limit(network.config.get_text_config(), folder)
            return cls.build(network, place, stated_limit, cache_bytes, compiled=compiled)
        except Exception as error:
            if isinstance(error, LoadFailed):
                raise
            if weight_loader.is_out_of_memory(error):
                raise LoadFailed(weight_loader.out_of_memory(needed)) from error
            raise LoadFailed(f"transformers can't load it: {architecture.one_line(error)}") from error

    @classmethod
    def _load_gguf(
        cls, file: Header, folder: Path, config: PreTrainedConfig, place: torch.device, cache_bytes: int
    ) -> "Model":
        try:
            network, compiled = gguf_network.load(file, config, place)
            stated_limit = checkpoint.context_limit(network.config.get_text_config(), folder)
            return cls.build(network, place, stated_limit, cache_bytes, compiled=compiled)
        except Exception as error:
            if isinstance(error, LoadFailed):
                raise
            if weight_loader.is_out_of_memory(error):
                raise LoadFailed(f"out of memory while loading {file.path.name}") from error
            raise file.fault(f"it can't be loaded: {architecture.one_line(error)}") from error

    @classmethod
    def build(
        cls, network: Any, device: torch.device, stated_limit: int, cache_bytes: int, *, compiled: bool = True
    ) -> "Model":
        """Finds out what a network can do, and the fastest way to compute its prompts. Raises LoadFailed."""
        capabilities = model_probe.probe(network, device, stated_limit)
        if device.type == "cuda":
            cache_bytes = min(cache_bytes, torch.cuda.mem_get_info(device)[0] // 2)
        runner = build_runner(network, cache_bytes, compiled=compiled)
        hf_cache = None
        if runner is None and capabilities.continues:
            hf_cache = build_hf_cache(network, cache_bytes, last_only=capabilities.selects_rows)
        if capabilities.vocab_size >= log_partition.MANY:
            log_partition.compiled()
        context = no_context if runner is None else runner.uncached
        whole_pass = WholePass(
            network, device, selects_rows=capabilities.selects_rows, vocab_size=capabilities.vocab_size, context=context
        )
        lens, insight = build_lens(network, whole_pass, paged=runner is not None, longest=capabilities.context_limit)
        gradient = Gradient(network, device, selects_rows=capabilities.selects_rows, context=context)
        return cls(network, device, capabilities, whole_pass, runner, hf_cache, gradient, lens, insight)

    @property
    def facts(self) -> ModelFacts:
        """What callers may know of it."""
        shared = {each.data_ptr(): each.numel() for each in self.network.parameters()}
        largest = max(self.network.parameters(), key=Tensor.numel)
        plain = sum(shared.values()), str(largest.dtype).removeprefix("torch.")
        parameters, dtype = getattr(self.network, gguf_network.FACTS, plain)
        return ModelFacts(
            parameters=parameters,
            device=str(self.device),
            dtype=dtype,
            vocab_size=self.capabilities.vocab_size,
            context_limit=self.capabilities.context_limit,
            architecture=type(self.network).__name__,
            layers=self.insight.layers,
            layers_refusal=self.insight.layers_refusal,
            contrast_refusal=self.insight.contrast_refusal,
            attention_refusal=self.insight.attention_refusal,
        )


def _device(asked: str) -> torch.device:
    usable = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    name = next(name for name, usable_here in usable.items() if usable_here) if asked == "auto" else asked
    if not usable[name]:
        raise LoadFailed(f"{name.upper()} is not available on this machine; set NEXTTOKEN_DEVICE to auto or cpu")
    return torch.device(name, 0) if name == "cuda" else torch.device(name)
