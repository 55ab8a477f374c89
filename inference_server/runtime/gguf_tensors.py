"""Reads tensors of a GGUF file: as the blocks they are stored in, or widened by `gguf`'s own dequantisation."""

import torch
from torch import Tensor

from inference_server.models.gguf_header import BLOCKS, Header
from inference_server.models.safetensors_header import short

DTYPES = {
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
}
_PIECE = 4 * 2**20  # numbers widened at a time: the library takes several times their size meanwhile
_LONGEST = 1_000_000  # numbers of a vector


def rows(header: Header, name: str) -> Tensor:
    """A tensor's blocks (rows, bytes per row). Raises LoadFailed if the file has become shorter."""
    tensor = header.tensors[name]
    found = torch.empty(tensor.bytes, dtype=torch.uint8)
    with header.path.open("rb") as file:
        file.seek(tensor.first)
        if file.readinto(found.numpy().data) < tensor.bytes:
            raise header.fault(f"it ends within {short(name)}; download it again")
    numbers, size = BLOCKS[tensor.kind]
    return found.view(-1, tensor.shape[-1] // numbers * size)


def plain(header: Header, name: str) -> Tensor:
    """A tensor of one of DTYPES as it is."""
    tensor = header.tensors[name]
    return rows(header, name).view(DTYPES[tensor.kind]).view(tensor.shape)


def widened(header: Header, name: str) -> Tensor:
    """A tensor in float32."""
    tensor = header.tensors[name]
    if tensor.kind in DTYPES:
        return plain(header, name).float()
    from gguf import GGMLQuantizationType  # here, since few models need it
    from gguf.quants import dequantize

    kind, packed, width = GGMLQuantizationType[tensor.kind], rows(header, name), tensor.shape[-1]
    wide = torch.empty(len(packed), width)
    step = max(1, _PIECE // width)
    try:
        for first in range(0, len(packed), step):
            piece = dequantize(packed[first : first + step].numpy(), kind)
            wide[first : first + step] = torch.from_numpy(piece)
    except NotImplementedError as unknown:
        raise header.fault(f"{short(name)} is {tensor.kind}, which can't be read") from unknown
    return wide.view(tensor.shape)


def vector(header: Header, name: str) -> Tensor:
    """A short vector of plain numbers in float32. Raises LoadFailed if there is none of that name."""
    tensor = header.tensors.get(name)
    if tensor is None or tensor.kind not in DTYPES or len(tensor.shape) != 1 or tensor.elements > _LONGEST:
        raise header.fault(f"{name} is missing, or no vector of plain numbers")
    return widened(header, name)
