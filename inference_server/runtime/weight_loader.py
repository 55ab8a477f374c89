"""Reads a network's weights from its files, if there is enough memory."""

from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import PreTrainedConfig

from inference_server.errors import LoadFailed
from inference_server.host import memory
from inference_server.models import unread_tensors
from inference_server.runtime import architecture
from inference_server.runtime.meta_model import Blueprint

ALLOCATION_FAILED = ("not enough memory", "can't allocate memory", "cannot allocate memory", "out of memory")


def read(folder: Path, config: PreTrainedConfig, dtype: torch.dtype) -> Any:
    """The network in evaluation mode, on the CPU. Raises LoadFailed if its weights don't match the files'.

    Tensors that nothing reads, such as masks in older checkpoints, are ignored, unless they belong to what is read.
    """
    transformers.utils.logging.disable_progress_bar()
    network: Any
    found: Any
    network, found = transformers.AutoModelForCausalLM.from_pretrained(
        folder,
        config=config,
        dtype=dtype,
        use_safetensors=True,
        local_files_only=True,
        trust_remote_code=False,
        ignore_mismatched_sizes=True,  # reported below, by name
        output_loading_info=True,
    )  # type: ignore[misc]  # its type does not know output_loading_info
    for name, found_shape, wanted in sorted(found["mismatched_keys"]):
        raise LoadFailed(
            f"config.json does not fit the weights: {name} would be {[*wanted]}, the file has {[*found_shape]}"
        )
    missing = sorted(found["missing_keys"])
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise LoadFailed(f"not a causal LM: its weights lack {missing[0]}{more}")
    further = architecture.guesses_ahead(config)
    unread_tensors.check_unread(found["unexpected_keys"], network.state_dict().keys(), further)
    return network.eval()


def weight_only(network: Any, folder: Path, config: PreTrainedConfig, plan: Blueprint) -> Any:
    """The network with its weights as in the checkpoint, computing in float32; widened if its code needs that."""
    from inference_server.cpu import autotune  # here, since they need numba
    from inference_server.cpu.weight_only_linear import computes_in_float32, replace_linears

    replace_linears(network)
    if not computes_in_float32(network):
        del network
        check_room(plan.bytes_at(4), torch.device("cpu"))
        network = read(folder, config, torch.float32)
        replace_linears(network)
    autotune.calibrate(network)
    return network


def check_room(needed: int, place: torch.device) -> None:
    """Raises LoadFailed if that many bytes are not free."""
    free = torch.cuda.mem_get_info(place)[0] if place.type == "cuda" else memory.available()
    if free is not None and needed > free:
        raise LoadFailed(f"{out_of_memory(needed)}, {free / 1e9:.1f} GB are free")


def out_of_memory(needed: int) -> str:
    """A message with how much is needed."""
    return f"out of memory: needs about {max(needed / 1e9, 0.1):.1f} GB"


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error means a lack of memory."""
    words = str(error).lower()  # torch's CPU allocator and mmap have no exception type for it
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(sign in words for sign in ALLOCATION_FAILED)
