"""What the files hold beside what the network takes from them, and what that says of its numbers. Knows no torch.

A quantised tensor means nothing without its companions, the scales and zero points beside it, and a network without
some of its layers is another one. Where such tensors are left over, what was loaded is noise that looks like a model.
"""

import re
from collections.abc import Collection, Mapping

from inference_server.errors import LoadFailed
from inference_server.models.checkpoint import FLOATS
from inference_server.models.safetensors_header import Tensor, short

PLAIN = FLOATS | {"BOOL", "I64", "U64", "C64"}  # none of which weights are packed into
COMPANIONS = ("scale", "zero", "quant", "absmax", "amax", "packed", "qweight", "g_idx", "codebook", "scb")
CHOOSE = "choose the model's unquantised form"


def check_kinds(tensors: Mapping[str, Tensor], whole: Collection[str]) -> None:
    """Raises LoadFailed, naming a tensor, where plain weights are of a kind that needs companions.

    `whole` are the names of the network's own tensors of whole numbers; masks of old checkpoints are left aside too.
    """
    for name, tensor in tensors.items():
        if tensor.kind not in PLAIN and not _is_mask(tensor) and name not in whole:
            raise LoadFailed(
                f"its weights are quantised ({short(name)} is {tensor.kind}) and config.json does not say how; {CHOOSE}"
            )


def check_unread(unread: Collection[str], read: Collection[str], more_layers: bool) -> None:
    """Raises LoadFailed, naming a tensor, where what nothing read belongs to what was read.

    `unread` are tensors of the files, `read` those of the network. `more_layers`: whether the files are meant to hold
    more layers, such as those that guess further ahead.
    """
    owners = {name[:at] for name in read for at, sign in enumerate(name) if sign == "."}
    for name in sorted(unread):
        owner, _, last = name.rpartition(".")
        if owner in owners and any(word in last.lower() for word in COMPANIONS):
            raise LoadFailed(
                f"its weights are quantised: nothing reads {short(name)}, without which the others are no numbers; "
                f"{CHOOSE}"
            )
        if not more_layers and (layer := re.match(r"(.+?\.)\d+(\..+)", name)) and f"{layer[1]}0{layer[2]}" in read:
            raise LoadFailed(f"config.json counts fewer layers than the weights hold: nothing reads {short(name)}")


def _is_mask(tensor: Tensor) -> bool:
    """Whether a tensor is the causal mask that older checkpoints hold for each layer."""
    return len(tensor.shape) == 4 and tensor.shape[:2] == (1, 1) and tensor.shape[2] == tensor.shape[3]
