"""The random model of `shape` as a GGUF file, with its matrices in a format of choice; packed ones have a tokenizer."""

import json
from pathlib import Path

import gguf
import torch
from gguf.quants import quantize
from models import gguf_files
from safetensors.torch import load_file
from torch import Tensor

from bench import shape

FORMATS = {
    "bf16": (torch.bfloat16, gguf.GGMLQuantizationType.BF16),
    "f16": (torch.float16, gguf.GGMLQuantizationType.F16),
    "f32": (torch.float32, gguf.GGMLQuantizationType.F32),
}
PACKED = {"q4_1": gguf.GGMLQuantizationType.Q4_1, "q8_0": gguf.GGMLQuantizationType.Q8_0}
FOLDER = shape.FOLDER.with_name("bench-360m-gguf")
NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def file(kind: str) -> Path:
    """The file with matrices in one of FORMATS or PACKED, made once.

    Those of FORMATS have no tokenizer: token ids go in, logits come out.
    """
    folder, path = shape.folder(), FOLDER / f"{kind}.gguf"
    if not path.exists():
        FOLDER.mkdir(exist_ok=True)
        unfinished = path.with_suffix(".part")
        _write(folder, unfinished, *FORMATS.get(kind, (torch.float32, PACKED.get(kind))))
        unfinished.rename(path)
    return path


def _write(folder: Path, path: Path, dtype: torch.dtype, stored: gguf.GGMLQuantizationType) -> None:
    packed = stored in PACKED.values()
    config = json.loads((folder / "config.json").read_text())
    heads, key_heads, width = (config[name] for name in ("num_attention_heads", "num_key_value_heads", "head_dim"))
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_vocab_size(config["vocab_size"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(key_heads)
    writer.add_rope_dimension_count(width)
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    if packed:
        tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
        gguf_files.add_tokenizer(writer, tokenizer, config["vocab_size"])
    else:
        writer.add_tokenizer_model("none")
    for name, weight in load_file(folder / "model.safetensors").items():
        if name.endswith("q_proj.weight"):
            weight = _pairs_beside(weight, heads)
        elif name.endswith("k_proj.weight"):
            weight = _pairs_beside(weight, key_heads)
        if weight.ndim > 1 and packed:
            writer.add_tensor(_named(name), quantize(weight.float().numpy(), stored), raw_dtype=stored)
        elif weight.ndim > 1:
            writer.add_tensor(_named(name), weight.to(dtype).contiguous().view(torch.uint8).numpy(), raw_dtype=stored)
        else:
            writer.add_tensor(_named(name), weight.float().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _pairs_beside(weight: Tensor, heads: int) -> Tensor:
    """Each head's rows in llama.cpp's order: the two that a rotation mixes are neighbours, not half a head apart."""
    outputs, inputs = weight.shape
    return weight.view(heads, 2, outputs // heads // 2, inputs).transpose(1, 2).reshape(outputs, inputs)


def _named(name: str) -> str:
    """llama.cpp's name of a tensor."""
    parts = name.removesuffix(".weight").split(".", 3)
    if parts[1] == "layers":
        return f"blk.{parts[2]}.{NAMES[parts[3]]}.weight"
    return f"{NAMES['.'.join(parts)]}.weight"
