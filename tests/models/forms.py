"""Other forms of checkpoints in the truth matrix, each with plain transformers on the numbers it stands for."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
import transformers

from inference_server.models.adapter import AdapterFiles, Files
from models import architectures, image_text

BLOCK = 16


def _plain(folder: Path) -> Any:
    network: Any = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype="float32")
    return network.eval()


def lora(vocab_size: int, folder: Path) -> tuple[Files, Any]:
    """A Llama with an adapter; beside it, one with the sums for weights."""
    architectures.build("llama", vocab_size, folder)
    merged, adapter = _plain(folder), folder / "adapter"
    adapter.mkdir()
    torch.manual_seed(1)
    tensors: dict[str, torch.Tensor] = {}
    for name, layer in merged.named_modules():
        if name.endswith(("q_proj", "down_proj")):
            a, b = torch.randn(3, layer.in_features) * 0.3, torch.randn(layer.out_features, 3) * 0.3
            tensors |= {f"base_model.model.{name}.lora_A.weight": a, f"base_model.model.{name}.lora_B.weight": b}
            layer.weight.data += 2.0 * b @ a
    safetensors.torch.save_file(tensors, adapter / "adapter_model.safetensors")
    described = {"peft_type": "LORA", "r": 3, "lora_alpha": 6, "target_modules": ["q_proj", "down_proj"]}
    (adapter / "adapter_config.json").write_text(json.dumps(described))
    return AdapterFiles(folder, adapter), merged


def fp8(vocab_size: int, folder: Path) -> tuple[Files, Any]:
    """A Qwen 3 with e4m3 in blocks; beside it, one with the products."""
    architectures.build("qwen3", vocab_size, folder)
    network, path = _plain(folder), folder / "model.safetensors"
    tensors = safetensors.torch.load_file(path)
    for name in [name for name in tensors if name.endswith("_proj.weight")]:
        rows, columns = tensors[name].shape
        blocks = tensors[name].reshape(rows // BLOCK, BLOCK, columns // BLOCK, BLOCK)
        scales = blocks.abs().amax((1, 3)) / 440
        packed = (blocks / scales[:, None, :, None]).to(torch.float8_e4m3fn)
        tensors |= {name: packed.reshape(rows, columns), f"{name}_scale_inv": scales}
        numbers = packed.float() * scales[:, None, :, None]
        network.get_parameter(name).data.copy_(numbers.reshape(rows, columns))
    safetensors.torch.save_file(tensors, path, metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "fp8", "weight_block_size": [BLOCK, BLOCK]}
    (folder / "config.json").write_text(json.dumps(config))
    return folder, network


def _image_text(kind: str) -> Callable[[int, Path], tuple[Files, Any]]:
    def build(vocab_size: int, folder: Path) -> tuple[Files, Any]:
        config = image_text.configuration(kind)
        config.get_text_config(decoder=True).vocab_size = vocab_size
        torch.manual_seed(vocab_size)
        whole: Any = transformers.AutoModelForImageTextToText.from_config(config)
        for parameter in whole.parameters():
            if parameter.ndim > 1:
                parameter.data.normal_(0, image_text.SPREAD * 2)
        whole.eval().save_pretrained(folder)
        return folder, whole

    return build


FORMS: dict[str, Callable[[int, Path], tuple[Files, Any]]] = {
    "lora": lora,
    "fp8": fp8,
    "llava": _image_text("llava"),
    "qwen2_vl": _image_text("qwen2_vl"),
}
CELLS = tuple((form, "byte_bpe") for form in FORMS)
