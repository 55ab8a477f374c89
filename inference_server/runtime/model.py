"""A loaded causal language model: its network, what it can do, and how its prompts are computed."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from inference_server.messages import ModelFacts
from inference_server.runtime import gguf_network, model_probe
from inference_server.runtime.capability import build_runner
from inference_server.runtime.gradient import Gradient
from inference_server.runtime.hf_cache import HFCache, build_hf_cache
from inference_server.runtime.lens import UNTOLD, Insight, Lens, build_lens
from inference_server.runtime.model_probe import Capabilities
from inference_server.runtime.model_runner import ModelRunner
from inference_server.runtime.network import Network, failed
from inference_server.runtime.whole_pass import WholePass, no_context
from inference_server.sampling import log_partition, ranking, softmax
from inference_server.sampling.compiled import MANY


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
    place: str = ""
    """The device, for users; empty: as `device` says."""
    format: str = ""
    note: str = ""

    @classmethod
    def load(cls, folder: Path, device: str, cache_bytes: int = 0) -> "Model":
        """Reads a local folder: safetensors only, no code of its own, nothing fetched.

        `device` is one of the setting's values. The cache takes at most `cache_bytes`, and at most half of what the
        weights leave of a GPU's memory; with too few for a single block there is none. Raises LoadFailed.
        """
        return cls.on(Network.read(folder, device), cache_bytes)

    @classmethod
    def on(cls, network: Network, cache_bytes: int) -> "Model":
        """The model that computes with a network, which is its own from now on. Raises LoadFailed."""
        try:
            model = cls.build(
                network.module,
                network.place.device,
                network.stated_limit,
                cache_bytes,
                compiled=network.compiled,
                paged=not network.place.several,
            )
        except Exception as error:
            needed = sum(each.nbytes for each in network.module.parameters())
            raise failed(error, needed) from error
        return replace(model, place=str(network.place), format=network.format, note=network.note)

    @classmethod
    def build(
        cls,
        network: Any,
        device: torch.device,
        stated_limit: int,
        cache_bytes: int,
        *,
        compiled: bool = True,
        paged: bool = True,
    ) -> "Model":
        """Finds out what a network can do, and the fastest way to compute its prompts. Raises LoadFailed.

        Without `paged`, as for layers on several devices, the network's own caches are used.
        """
        capabilities = model_probe.probe(network, device, stated_limit)
        if device.type == "cuda":
            cache_bytes = min(cache_bytes, torch.cuda.mem_get_info(device)[0] // 2)
        runner = build_runner(network, cache_bytes, compiled=compiled) if paged else None
        hf_cache = None
        if runner is None and capabilities.continues:
            hf_cache = build_hf_cache(network, cache_bytes, last_only=capabilities.selects_rows)
        if capabilities.vocab_size >= MANY:
            for kernel in (softmax, ranking, log_partition):
                kernel.compiled()
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
            device=self.place or str(self.device),
            dtype=dtype,
            vocab_size=self.capabilities.vocab_size,
            context_limit=self.capabilities.context_limit,
            architecture=type(self.network).__name__,
            layers=self.insight.layers,
            layers_refusal=self.insight.layers_refusal,
            contrast_refusal=self.insight.contrast_refusal,
            attention_refusal=self.insight.attention_refusal,
            format=self.format,
            note=self.note,
        )
