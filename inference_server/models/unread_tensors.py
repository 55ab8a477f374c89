"""Detects checkpoints whose tensors the network did not all read.

A quantised tensor is meaningless without its scales and zero points, and a network without some of its layers is a
different one. Where such tensors are left over, the loaded model would return plausible noise.
"""

import re
from collections.abc import Collection, Mapping

from inference_server.errors import LoadFailed
from inference_server.models.checkpoint import FLOATS
from inference_server.models.safetensors_header import Tensor, short

PLAIN = FLOATS | {"BOOL", "I64", "U64", "C64"}  # dtypes never used for packed weights
SCALE_NAMES = ("scale", "zero", "quant", "absmax", "amax", "packed", "qweight", "g_idx", "codebook", "scb")
USE_UNQUANTISED = "use the unquantised version of the model"


def check_kinds(tensors: Mapping[str, Tensor], whole: Collection[str]) -> None:
    """Raises LoadFailed for weights with a dtype that needs scales.

    `whole`: the network's own integer tensors, which are fine, as are the attention masks in old checkpoints.
    """
    for name, tensor in tensors.items():
        if tensor.kind not in PLAIN and not _is_mask(tensor) and name not in whole:
            raise LoadFailed(
                f"its weights are quantised ({short(name)} is {tensor.kind}) and config.json does not say how; "
                f"{USE_UNQUANTISED}"
            )


def check_unread(unread: Collection[str], read: Collection[str], more_layers: bool) -> None:
    """Raises LoadFailed if unread tensors belong to layers that were read.

    `unread`: in the files only. `read`: the network's. `more_layers`: the files may hold extra layers, such as
    multi-token prediction heads.
    """
    owners = {name[:at] for name in read for at, sign in enumerate(name) if sign == "."}
    for name in sorted(unread):
        owner, _, last = name.rpartition(".")
        if owner in owners and any(word in last.lower() for word in SCALE_NAMES):
            raise LoadFailed(
                f"its weights are quantised: {short(name)} was not read, and the weights are meaningless without it; "
                f"{USE_UNQUANTISED}"
            )
        if not more_layers and (layer := re.match(r"(.+?\.)\d+(\..+)", name)) and f"{layer[1]}0{layer[2]}" in read:
            raise LoadFailed(f"config.json has fewer layers than the weights: {short(name)} was not read")


def _is_mask(tensor: Tensor) -> bool:
    """Whether this is the causal mask that older checkpoints store per layer."""
    return len(tensor.shape) == 4 and tensor.shape[:2] == (1, 1) and tensor.shape[2] == tensor.shape[3]
