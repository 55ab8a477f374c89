"""A small model in bfloat16, and checkpoints of it whose matrices are quantised."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
import transformers
from torch import Tensor

Tensors = dict[str, Tensor]
Pack = Callable[[Tensor], tuple[Tensors, Tensor]]
"""From a weight to what is stored instead, by the ends of their names, and the numbers that it stands for."""


def plain(folder: Path) -> Path:
    """A Llama whose matrices are multiples of a block of 64."""
    torch.manual_seed(5)
    config = transformers.LlamaConfig(
        vocab_size=300, hidden_size=128, intermediate_size=192, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64, initializer_range=0.15,
    )  # fmt: skip
    network: Any = transformers.LlamaForCausalLM(config)
    network.to(torch.bfloat16).save_pretrained(folder)
    return folder


def write(plain: Path, folder: Path, pack: Pack, described: dict[str, Any]) -> Any:
    """Writes a quantised checkpoint, and gives plain transformers with the numbers it stands for."""
    shutil.copytree(plain, folder)
    tensors = safetensors.torch.load_file(folder / "model.safetensors")
    network: Any = transformers.AutoModelForCausalLM.from_pretrained(plain, dtype="float32").eval()
    for name in [name for name in tensors if name.endswith("_proj.weight")]:
        stored, numbers = pack(tensors.pop(name).float())
        tensors |= {f"{name.removesuffix('weight')}{part}": each.contiguous() for part, each in stored.items()}
        network.get_parameter(name).data.copy_(numbers)
    safetensors.torch.save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    describe(folder, described)
    return network


def describe(folder: Path, described: dict[str, Any]) -> None:
    """Has a folder's config.json say so."""
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "quantization_config": described}))
