"""Builds a network from a GGUF file: its matrices packed as in the file where kernels read them, else in float32."""

import copy
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog
import torch
import transformers
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from transformers import PreTrainedConfig, initialization
from transformers.pytorch_utils import Conv1D

from inference_server.cpu import dtype
from inference_server.cpu.scaled_embedding import scale_of
from inference_server.models import gguf_header, gguf_names
from inference_server.models.checkpoint import Weights
from inference_server.models.gguf_header import Header
from inference_server.models.safetensors_header import Tensor as Stored
from inference_server.models.safetensors_header import short
from inference_server.runtime import gguf_config, gguf_tensors, meta_model, weight_loader
from inference_server.runtime.devices import Place
from inference_server.runtime.meta_model import Blueprint

APART = (gguf_config.FREQUENCIES, gguf_config.LONG, gguf_config.SHORT)  # about rotations, not weights
FACTS = "gguf_facts"  # of the network: parameters, format

logger = structlog.get_logger(__name__)


def find(folder: Path) -> Header | None:
    """The header of an unpacked folder's file; None if the folder has other weights. Raises LoadFailed."""
    path = folder / gguf_header.LINK
    return gguf_header.read(path.readlink()) if path.is_symlink() else None


def load(header: Header, config: PreTrainedConfig, place: torch.device) -> tuple[Any, bool]:
    """The network on its device, and whether it has the layers of `cpu`. Raises LoadFailed."""
    names = _names(header)
    stored = {ours: header.tensors[theirs] for ours, theirs in names.items()}
    plan = meta_model.draw(config, Weights(stored))
    _check(header, plan, stored)
    compiled = place.type == "cpu" and plan.elements >= dtype.LEAST_ELEMENTS and _kernels_run(stored)
    needed = _needed(plan, stored, compiled=compiled)
    for each in {torch.device("cpu"), place}:
        weight_loader.check_room(needed, Place(each))
    network = _Filling(header, names, compiled=compiled).fill(empty(config))
    sizes = Counter[str]()
    for tensor in stored.values():
        sizes[tensor.kind] += tensor.elements
    setattr(network, FACTS, (plan.elements, f"GGUF {sizes.most_common(1)[0][0]}"))
    if compiled:
        from inference_server.cpu import autotune

        autotune.calibrate(network)
    return network.to(place).eval(), compiled


def _names(header: Header) -> dict[str, str]:
    """The file's tensors by transformers' names."""
    found: dict[str, str] = {}
    for name in header.tensors:
        ours = gguf_names.translated(name, header.architecture)
        if ours is not None:
            found[ours] = name
        elif name not in APART:
            raise header.fault(f"it has a tensor that {header.architecture} is not known to have: {short(name)}")
    return found


def _check(header: Header, plan: Blueprint, stored: dict[str, Stored]) -> None:
    """Raises LoadFailed unless the tensors are those of the network, with its shapes."""
    for name in sorted(stored.keys() - plan.parameters.keys()):
        raise header.fault(f"it has a tensor that its metadata leaves no room for: {short(name)}")
    for name, tensor in plan.parameters.items():
        if name not in stored:
            raise header.fault(f"it lacks {short(name)}")
        wanted, found = tuple(tensor.shape), stored[name].shape
        if gguf_names.lies_across(name, header.architecture):
            wanted = wanted[::-1]
        if found != wanted:
            raise header.fault(f"{short(name)} would be {[*wanted]} by its metadata, the file has {[*found]}")


def _kernels_run(stored: dict[str, Stored]) -> bool:
    """Whether the kernels of all its kinds run here and agree with `gguf`."""
    kinds = {tensor.kind for tensor in stored.values() if len(tensor.shape) == 2}
    if not all(dtype.kernels_run(gguf_tensors.DTYPES[kind]) for kind in kinds & gguf_tensors.DTYPES.keys()):
        return False
    try:
        from inference_server.cpu import packed_linear

        packed = sorted(kinds & packed_linear.KINDS.keys())
        differing = [kind for kind in packed if not packed_linear.trustworthy(kind)]
    except Exception as fault:  # numba and llvm fail in their own ways
        logger.warning("kernels for packed weights not available, widening them", reason=str(fault))
        return False
    if differing:
        logger.warning("kernels for packed weights differ from gguf's numbers, widening them", kinds=differing)
    return not differing


def _needed(plan: Blueprint, stored: dict[str, Stored], *, compiled: bool) -> int:
    """Bytes of the network."""
    return plan.bytes_at(0) + sum(
        tensor.bytes if compiled and _stays(tensor) else 4 * tensor.elements for tensor in stored.values()
    )


def _stays(tensor: Stored) -> bool:
    """Whether a matrix stays as it is in the file."""
    from inference_server.cpu import packed_linear  # needs numba

    return len(tensor.shape) == 2 and (tensor.kind in packed_linear.KINDS or tensor.kind in gguf_tensors.DTYPES)


def empty(config: PreTrainedConfig) -> Any:
    """The network with its buffers, and parameters without memory."""
    with _no_memory(), initialization.no_init_weights():
        return transformers.AutoModelForCausalLM.from_config(copy.deepcopy(config), dtype=torch.float32)


@contextmanager
def _no_memory() -> Iterator[None]:
    """Parameters that this thread's modules register meanwhile are on torch's meta device."""
    here = threading.get_ident()

    def replace(module: nn.Module, name: str, parameter: nn.Parameter | None) -> nn.Parameter | None:
        if parameter is None or threading.get_ident() != here:
            return None
        return nn.Parameter(parameter.detach().to("meta"), requires_grad=False)

    hook: Any = replace  # torch takes what it returns, whatever its annotation says
    handle = register_module_parameter_registration_hook(hook)
    try:
        yield
    finally:
        handle.remove()


class _Filling:
    """Puts a file's tensors into an empty network."""

    def __init__(self, header: Header, names: dict[str, str], *, compiled: bool) -> None:
        self._header = header
        self._names = names
        self._compiled = compiled

    def fill(self, network: Any) -> Any:
        """The same network, filled."""
        for owner in sorted({name.rpartition(".")[0] for name in self._names}):
            self._fill(network, owner, network.get_submodule(owner))
        if network.config.get_text_config().tie_word_embeddings:
            self._tie(network)
        if gguf_config.FREQUENCIES in self._header.tensors:
            self._turn(network.base_model.rotary_emb)
        return network

    def _fill(self, network: Any, owner: str, module: nn.Module) -> None:
        bias = self._wide(f"{owner}.bias") if f"{owner}.bias" in self._names else None
        name = f"{owner}.weight"
        if self._compiled and _stays(self._header.tensors[self._names[name]]):
            layer = self._held(module, name, bias)
            if layer is not None:
                network.set_submodule(owner, layer)
                return
        weight = self._wide(name)
        if type(module) is Conv1D:
            weight = weight.T.contiguous()
        module.weight = nn.Parameter(weight, requires_grad=False)
        if bias is not None:
            module.bias = nn.Parameter(bias, requires_grad=False)

    def _held(self, module: nn.Module, name: str, bias: Tensor | None) -> nn.Module | None:
        """A layer that computes with the weights as they are in the file; None for modules that may do more."""
        from inference_server.cpu.packed_linear import KINDS, PackedEmbedding, PackedLinear
        from inference_server.cpu.weight_only_linear import WeightOnlyEmbedding, WeightOnlyLinear

        kind = self._header.tensors[self._names[name]].kind
        if type(module) in (nn.Linear, Conv1D):
            weight = self._ordered(name, self._stored(name))
            return PackedLinear(kind, weight, bias) if kind in KINDS else WeightOnlyLinear(weight, bias)
        if (scale := scale_of(module)) is not None:
            weight = self._stored(name)
            return PackedEmbedding(kind, weight, scale) if kind in KINDS else WeightOnlyEmbedding(weight, scale)
        return None

    def _tie(self, network: Any) -> None:
        """Gives the head the embeddings' weights."""
        embedding = network.get_input_embeddings()
        if not self._compiled:
            network.tie_weights()
            return
        from inference_server.cpu.packed_linear import PackedEmbedding, PackedLinear
        from inference_server.cpu.weight_only_linear import WeightOnlyLinear

        blocks, packed = embedding.weight.data, isinstance(embedding, PackedEmbedding)
        head = PackedLinear(embedding.kind, blocks, None) if packed else WeightOnlyLinear(blocks, None)
        network.set_output_embeddings(head)

    def _turn(self, rotary: Any) -> None:
        """Divides the rotations' frequencies by the file's factors, as Llama 3.1 and later need."""
        factors = gguf_tensors.vector(self._header, gguf_config.FREQUENCIES)
        if factors.shape != rotary.inv_freq.shape or not bool((factors > 0).all()):
            raise self._header.fault(f"{gguf_config.FREQUENCIES} does not fit its heads")
        rotary.inv_freq = rotary.inv_freq / factors
        rotary.original_inv_freq = rotary.inv_freq.clone()

    def _stored(self, name: str) -> Tensor:
        theirs = self._names[name]
        plain = self._header.tensors[theirs].kind in gguf_tensors.DTYPES
        return (gguf_tensors.plain if plain else gguf_tensors.rows)(self._header, theirs)

    def _wide(self, name: str) -> Tensor:
        found = self._ordered(name, gguf_tensors.widened(self._header, self._names[name]))
        return found - 1 if gguf_names.lies_about_one(self._names[name], self._header.architecture) else found

    def _ordered(self, name: str, weight: Tensor) -> Tensor:
        """Rows in transformers' order; a block never spans two."""
        theirs, metadata = self._names[name], self._header.metadata
        if not gguf_names.pairs_apart(theirs, self._header.architecture):
            return weight
        heads = self._header.count("llama.attention.head_count")
        if ".attn_k." in theirs and "llama.attention.head_count_kv" in metadata:
            heads = self._header.count("llama.attention.head_count_kv")
        half = len(weight) // heads // 2
        return weight.view(heads, half, 2, *weight.shape[1:]).transpose(1, 2).reshape(weight.shape)
