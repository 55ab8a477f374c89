"""A causal language model: loading its weights, its device and dtype, its forward passes. Knows no requests.

On a CPU arithmetic is float32, and large models keep their weights in the 16 bits of their checkpoint. On a GPU both
are what the checkpoint holds. Logits leave here as float32 rows on the CPU.
"""

import contextlib
import inspect
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from inference_server.cpu.dtype import checkpoint_dtype, choose_dtype
from inference_server.errors import LoadFailed
from inference_server.host import cpu_quota
from inference_server.messages import ModelFacts
from inference_server.models import checkpoint, unread_tensors
from inference_server.runtime import architecture, meta_model, model_probe, weight_loader
from inference_server.runtime.capability import build_runner
from inference_server.runtime.hf_cache import HFCache, build_hf_cache
from inference_server.runtime.model_runner import ModelRunner
from inference_server.sampling import log_partition

BY_LENGTH = ("dynamic", "longrope")  # rotary embeddings that a batch's longest row decides for all of it
LOGITS_BYTES = 64 * 2**20  # of logits held at once while scoring a text

T = TypeVar("T")


class Model:
    """A loaded network. Its forward passes belong to one thread at a time."""

    def __init__(self, network: Any, device: torch.device, context_limit: int) -> None:
        self._network = network
        self._device = device
        self._takes = inspect.signature(network.forward).parameters
        rotations = {str(getattr(part, "rope_type", "")) for part in network.modules()}
        self._by_length = any(kind in rotation for kind in BY_LENGTH for rotation in rotations)
        self.context_limit = context_limit
        self.selects_rows = False  # whether it computes logits only at the positions it is asked for
        self.rounding = 0.0  # how far two neighbouring numbers around 1 lie apart in its logits; set by each pass
        self.runner: ModelRunner | None = None  # where keys and values are kept; None: this model fits none
        self.states: HFCache | None = None  # where there is no runner: its own caches, if it goes on from them
        self.vocab_size = len(self.last_logits([0]))

    @classmethod
    def load(cls, folder: Path, device: str, stored_bytes: int = 0) -> "Model":
        """Reads a local folder: safetensors only, no code of its own, nothing fetched.

        `device` is auto, cpu, cuda or mps; keys and values take at most `stored_bytes`, of a GPU's memory at most half
        of what the weights leave, and with too few for any none are kept. Raises LoadFailed with a reason for people.
        """
        place = _device(device)
        torch.set_num_threads(min(torch.get_num_threads(), cpu_quota.allowed() or torch.get_num_threads()))
        config = architecture.configuration(folder)
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
                network = weight_loader.held(network, folder, config, plan)
            stated = checkpoint.context_limit(network.config.get_text_config(), folder)
            model = cls(network, place, model_probe.longest(network, stated))
            model_probe.run(model)
            if place.type == "cuda":
                stored_bytes = min(stored_bytes, torch.cuda.mem_get_info(place)[0] // 2)
            model.runner = build_runner(network, stored_bytes, compiled=compiled)
            if model.vocab_size >= log_partition.MANY:
                log_partition.compiled()
            if model.runner is None and not model._by_length:
                model.states = build_hf_cache(network, stored_bytes, last_only=model.selects_rows)
        except Exception as error:
            if isinstance(error, LoadFailed):
                raise
            if weight_loader.is_out_of_memory(error):
                raise LoadFailed(weight_loader.out_of_memory(needed)) from error
            raise LoadFailed(f"transformers can't load it: {architecture.one_line(error)}") from error
        return model

    @property
    def facts(self) -> ModelFacts:
        """What is known of it."""
        shared = {each.data_ptr(): each.numel() for each in self._network.parameters()}
        largest = max(self._network.parameters(), key=Tensor.numel)
        return ModelFacts(
            parameters=sum(shared.values()),
            device=str(self._device),
            dtype=str(largest.dtype).removeprefix("torch."),
            vocab_size=self.vocab_size,
            context_limit=self.context_limit,
            architecture=type(self._network).__name__,
        )

    @torch.inference_mode()
    def last_logits(self, token_ids: Sequence[int]) -> Tensor:
        """The (V,) logits after a prompt of at least one token, computed whole: no cache is read or written."""
        return self._forward(token_ids, torch.tensor([len(token_ids) - 1]))[0].clone()  # without the other rows

    @torch.inference_mode()
    def map_logits(self, describe: Callable[[int, Tensor], Sequence[T]], token_ids: Sequence[int]) -> list[T]:
        """What `describe` says of a place and the logits (n, V) after the n tokens from there on, all of them computed.

        At most LOGITS_BYTES of logits are held at once, unless the architecture computes every position anyway.
        """
        step = max(1, LOGITS_BYTES // (4 * self.vocab_size)) if self.selects_rows else len(token_ids)
        described = list[T]()
        with self._body_computed_once():
            for first in range(0, len(token_ids), step):
                wanted = torch.arange(first, min(first + step, len(token_ids)))
                described += describe(first, self._forward(token_ids, wanted))
        return described

    def _forward(self, token_ids: Sequence[int], wanted: Tensor) -> Tensor:
        """The (n, V) float32 logits at (n,) positions of a prompt, on the CPU."""
        given: dict[str, Any] = {"input_ids": torch.tensor([token_ids], device=self._device)}
        if self.selects_rows:
            given["logits_to_keep"] = wanted.to(self._device)
        if "use_cache" in self._takes:
            given["use_cache"] = False
        with contextlib.nullcontext() if self.runner is None else self.runner.storing_nothing(len(token_ids)):
            logits: Tensor = self._network(**given).logits[0]
        self.rounding = torch.finfo(logits.dtype).eps
        return (logits if self.selects_rows else logits[wanted.to(self._device)]).float().cpu()

    @contextlib.contextmanager
    def _body_computed_once(self) -> Iterator[None]:
        """Within, the layers below the head run once, and later passes with other positions only run the head."""
        body = getattr(self._network, self._network.base_model_prefix, None)
        if not isinstance(body, torch.nn.Module):
            yield
            return
        compute, replaced, kept = body.forward, vars(body).get("forward"), list[Any]()

        def forward(*args: Any, **kwargs: Any) -> Any:
            if not kept:
                kept.append(compute(*args, **kwargs))
            return kept[0]

        body.forward = forward
        try:
            yield
        finally:
            del body.forward
            if replaced is not None:
                body.forward = replaced


def _device(asked: str) -> torch.device:
    usable = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    name = next(name for name, usable_here in usable.items() if usable_here) if asked == "auto" else asked
    if not usable[name]:
        raise LoadFailed(f"no {name} device is to be seen here; set NEXTTOKEN_DEVICE to auto or cpu")
    return torch.device(name, 0) if name == "cuda" else torch.device(name)
