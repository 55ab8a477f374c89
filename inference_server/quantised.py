"""Weights that are no plain numbers: told by their tensors' kinds and names, whatever config.json says. Knows no torch.

A quantised tensor means nothing without its companions, the scales and zero points beside it. Where nothing reads
those, what was loaded is noise that looks like a model.
"""

from collections.abc import Collection, Mapping

from inference_server.checkpoint import FLOATS
from inference_server.errors import LoadFailed
from inference_server.headers import Tensor, short

PLAIN = FLOATS | {"BOOL", "I64", "U64", "C64"}  # none of which weights are packed into
COMPANIONS = ("scale", "zero", "quant", "absmax", "amax", "packed", "qweight", "g_idx", "codebook", "scb")


def check_kinds(tensors: Mapping[str, Tensor], whole: Collection[str]) -> None:
    """Raises LoadFailed, naming a tensor, where plain weights are of a kind that needs companions.

    `whole` are the names of the network's own tensors of whole numbers; masks of old checkpoints are left aside too.
    """
    for name, tensor in tensors.items():
        if tensor.kind not in PLAIN and not _is_mask(tensor) and name not in whole:
            raise LoadFailed(
                f"its weights are quantised ({short(name)} is {tensor.kind}) and config.json does not say how; "
                "choose the model's unquantised form"
            )


def check_unread(unread: Collection[str], read: Collection[str]) -> None:
    """Raises LoadFailed, naming a tensor, where a companion of tensors that were read was not.

    `unread` are tensors of the files, `read` those of the network.
    """
    owners = {name[:at] for name in read for at, sign in enumerate(name) if sign == "."}
    for name in sorted(unread):
        owner, _, last = name.rpartition(".")
        if owner in owners and any(word in last.lower() for word in COMPANIONS):
            raise LoadFailed(
                f"its weights are quantised: nothing reads {short(name)}, without which the others are no numbers; "
                "choose the model's unquantised form"
            )


def _is_mask(tensor: Tensor) -> bool:
    """Whether a tensor is the causal mask that older checkpoints hold for each layer."""
    return len(tensor.shape) == 4 and tensor.shape[:2] == (1, 1) and tensor.shape[2] == tensor.shape[3]
