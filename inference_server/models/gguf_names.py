"""What the tensors of a GGUF file are called in the network that transformers builds."""

import re
from collections.abc import Mapping

TOP = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
BLOCK = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
GEMMA = {
    "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "pre_feedforward_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
}
PHI3 = {"attn_qkv": "self_attn.qkv_proj", "ffn_up": "mlp.gate_up_proj"}
GPT2_TOP = {"token_embd": "transformer.wte", "position_embd": "transformer.wpe", "output_norm": "transformer.ln_f"}
GPT2 = {
    "attn_norm": "ln_1",
    "attn_qkv": "attn.c_attn",
    "attn_output": "attn.c_proj",
    "ffn_norm": "ln_2",
    "ffn_up": "mlp.c_fc",
    "ffn_down": "mlp.c_proj",
}
PARTS: dict[str, tuple[Mapping[str, str], str, Mapping[str, str]]] = {
    **dict.fromkeys(("llama", "qwen2", "qwen3"), (TOP, "model.layers", BLOCK)),
    **dict.fromkeys(("gemma2", "gemma3"), (TOP, "model.layers", BLOCK | GEMMA)),
    "phi3": (TOP, "model.layers", BLOCK | PHI3),
    "gpt2": (GPT2_TOP | {"output": "lm_head"}, "transformer.h", GPT2),
}
"""By `general.architecture`: names outside the blocks, what blocks are called, and names inside them."""
NAME = re.compile(r"(?:blk\.(\d{1,5})\.)?([a-z0-9_]+)\.(weight|bias)")


def translated(name: str, architecture: str) -> str | None:
    """transformers' name of a tensor; None if this architecture has no such tensor."""
    top, blocks, inside = PARTS[architecture]
    match = NAME.fullmatch(name)
    if match is None:
        return None
    number, part, kind = match.groups()
    if number is None:
        return f"{top[part]}.{kind}" if part in top else None
    return f"{blocks}.{int(number)}.{inside[part]}.{kind}" if part in inside else None


def pairs_apart(name: str, architecture: str) -> bool:
    """Whether a tensor's rows have to be put back in transformers' order, a rotation's two halves apart.

    llama.cpp's converter puts them beside each other in Llama's files and in no others.
    """
    return architecture == "llama" and re.fullmatch(r"blk\.\d+\.attn_[qk]\.(weight|bias)", name) is not None


def lies_about_one(name: str, architecture: str) -> bool:
    """Whether a norm's weights are stored as w + 1."""
    return architecture.startswith("gemma") and name.endswith("norm.weight")


def lies_across(name: str, architecture: str) -> bool:
    """Whether a tensor, by transformers' name, has its axes in the other order in the file, as GPT-2's layers do."""
    return architecture == "gpt2" and name.startswith("transformer.h.")
