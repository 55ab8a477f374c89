"""Reads a network's weights from its files, if there is enough memory."""

import contextlib
from collections.abc import Iterator, Mapping, Set
from dataclasses import replace
from pathlib import Path
from typing import Any

import safetensors
import torch
import transformers
from torch import nn
from transformers.integrations.compressed_tensors import CompressedTensorsDequantize
from transformers.pytorch_utils import Conv1D

from inference_server.errors import LoadFailed
from inference_server.host import memory
from inference_server.models import checkpoint, unread_tensors
from inference_server.runtime import architecture
from inference_server.runtime.devices import Place
from inference_server.runtime.load_plan import LoadPlan
from inference_server.runtime.meta_model import counting
from inference_server.runtime.network_class import network_class, text_part
from inference_server.runtime.packed_checkpoint import PLAIN

ALLOCATION_FAILED = ("not enough memory", "can't allocate memory", "cannot allocate memory", "out of memory")


def load(folder: Path, plan: LoadPlan, place: Place) -> tuple[Any, bool]:
    """The network in evaluation mode, where it computes, and whether some of its weights stayed packed.

    Raises LoadFailed if its weights don't match the files'.
    """
    unpacked = None if plan.unpacked is None else {**plan.unpacked, **plan.kept.stand_in(plan.dtype)}
    network = _read(folder, plan, plan.dtype, place, unpacked)
    if network is None:
        plan = replace(plan, dtype=torch.float32, wide=frozenset())
        check_room(plan.blueprint.bytes_at(4), place)
        network = _read(folder, plan, plan.dtype, place)
    if plan.converts:
        _convert(network, plan.dtype)
    return _weight_only(network, folder, plan) if plan.compiled else (network, False)


def _read(
    folder: Path, plan: LoadPlan, dtype: torch.dtype, place: Place, unpacked: Mapping[str, Any] | None = None
) -> Any:
    """The network with plain weights; None if transformers does more to the wide ones than to round them.

    `unpacked`: its tensors by name, read instead of those in the files.
    Tensors that nothing reads, such as masks in older checkpoints, are ignored, unless they belong to what is read.
    """
    transformers.utils.logging.disable_progress_bar()
    network: Any
    found: Any
    config, blueprint = plan.config, plan.blueprint
    kind: Any = network_class(config)
    if unpacked is not None:
        kind = blueprint.kind  # an automatic class wants a folder
        config = config if isinstance(config, kind.config_class) else config.get_text_config(decoder=True)
    with _unrounded(), counting() if blueprint.counts else contextlib.nullcontext():
        network, found = kind.from_pretrained(
            folder if unpacked is None else None,
            state_dict=unpacked,
            config=config,
            dtype=dtype,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,  # reported below, by name
            output_loading_info=True,
            **({"device_map": "auto"} if place.several else {}),
        )
    for name, found_shape, wanted in sorted(found["mismatched_keys"]):
        raise LoadFailed(
            f"config.json does not fit the weights: {name} would be {[*wanted]}, the file has {[*found_shape]}"
        )
    missing = sorted(found["missing_keys"])
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise LoadFailed(f"not a causal LM: its weights lack {missing[0]}{more}")
    if unpacked is not None and any(type(module) is Conv1D for module in network.modules()):
        raise LoadFailed(f"its weights are quantised, and its layers hold them across (Conv1D); {PLAIN}")
    further = architecture.guesses_ahead(config)
    unread_tensors.check_unread(found["unexpected_keys"], network.state_dict().keys(), further)
    if not _restore(network, folder, plan.wide):
        return None
    if place.several:
        _check_spread(network)
        return network.eval()
    return text_part(network.eval()).to(place.device)


def _restore(network: nn.Module, folder: Path, names: Set[str]) -> bool:
    """Gives some weights the numbers and dtype that they have in the files; False if they are not those, rounded."""
    tensors = network.state_dict(keep_vars=True)
    for path in checkpoint.files(folder) if names else []:
        with safetensors.safe_open(path, "pt") as file:
            for name in names & {*file.keys()}:
                found, held = file.get_tensor(name), tensors[name].data
                if found.shape != held.shape or not torch.equal(found.to(held.dtype), held):
                    return False
                tensors[name].data = found
    return True


@contextlib.contextmanager
def _unrounded() -> Iterator[None]:
    """Within, compressed-tensors multiplies by scales in float32; by itself it rounds to the 16 bits of a scale."""
    operation: Any = CompressedTensorsDequantize
    convert = operation.convert

    def widened(self: Any, input_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        wide = {name: _wide(value) if "scale" in name else value for name, value in input_dict.items()}
        return convert(self, wide, *args, **kwargs)

    operation.convert = widened
    try:
        yield
    finally:
        operation.convert = convert


def _wide(value: Any) -> Any:
    if isinstance(value, list):
        return [_wide(each) for each in value]
    return value.float() if isinstance(value, torch.Tensor) and value.is_floating_point() else value


def _convert(network: nn.Module, dtype: torch.dtype) -> None:
    """Gives all weights a dtype: what was plain in a quantised checkpoint is as there. Buffers keep theirs.

    In 16 bits, the frequencies of rotations would be others.
    """
    for parameter in network.parameters():
        if parameter.is_floating_point():
            parameter.data = parameter.data.to(dtype)


def _weight_only(network: Any, folder: Path, plan: LoadPlan) -> tuple[Any, bool]:
    """The network with its weights as in the checkpoint, computing in float32; widened if its code needs that."""
    from inference_server.cpu import autotune  # here, since they need numba
    from inference_server.cpu.weight_only_linear import computes_in_float32, replace_linears

    fits = plan.kept.put_into(network)
    replace_linears(network)
    if not fits or not computes_in_float32(network):
        fits = False
        del network
        cpu = Place(torch.device("cpu"))
        check_room(plan.blueprint.bytes_at(4), cpu)
        network = _read(folder, plan, torch.float32, cpu, plan.unpacked)
        replace_linears(network)
    autotune.calibrate(network)
    return network, fits and bool(plan.kept.weights)


def _check_spread(network: Any) -> None:
    """Raises LoadFailed unless every layer is on a GPU."""
    elsewhere = {name for name, device in network.hf_device_map.items() if str(device) in ("cpu", "disk", "meta")}
    if elsewhere:
        raise LoadFailed(
            f"out of memory: {len(elsewhere)} of its parts, such as {min(elsewhere)}, fit on no GPU of this machine"
        )


def check_room(needed: int, place: Place) -> None:
    """Raises LoadFailed if that many bytes are not free."""
    free = place.free_bytes if place.device.type == "cuda" else memory.available()
    if free is not None and needed > free:
        raise LoadFailed(f"{out_of_memory(needed)}, {free / 1e9:.1f} GB are free")


def out_of_memory(needed: int) -> str:
    """A message with how much is needed."""
    return f"out of memory: needs about {max(needed / 1e9, 0.1):.1f} GB"


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error means a lack of memory."""
    words = str(error).lower()  # torch's CPU allocator and mmap have no exception type for it
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(sign in words for sign in ALLOCATION_FAILED)
