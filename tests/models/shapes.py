"""Tiny models of many architectures with weights large enough that their distributions are far from flat."""

from collections.abc import Callable
from typing import Any

import torch
import transformers
from transformers import PreTrainedModel

VOCABULARY = 97
_COMMON = {"vocab_size": VOCABULARY, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
_DEEP = {
    **_COMMON,
    "hidden_size": 64,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 256,
}
_GROUPED = {**_DEEP, "num_key_value_heads": 2}
_WINDOWED = {**_GROUPED, "head_dim": 16, "sliding_window": 8}
_NARROW = {**_COMMON, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}

PAGED: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", _GROUPED),
    "llama-tied-biased": (
        "LlamaConfig",
        {**_GROUPED, "tie_word_embeddings": True, "attention_bias": True, "mlp_bias": True},
    ),
    "mistral-windowed": ("MistralConfig", _WINDOWED),
    "mixtral": ("MixtralConfig", {**_GROUPED, "num_local_experts": 4}),
    "qwen2": ("Qwen2Config", _GROUPED),
    "qwen3": ("Qwen3Config", {**_GROUPED, "head_dim": 8}),
    "gpt2": ("GPT2Config", {**_COMMON, "n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 256}),
    "gpt-neox": ("GPTNeoXConfig", _DEEP),
    "opt": ("OPTConfig", {**_NARROW, "ffn_dim": 64, "max_position_embeddings": 256, "word_embed_proj_dim": 64}),
    "phi": ("PhiConfig", _DEEP),
    "phi3": ("Phi3Config", _GROUPED),
    "gemma2": ("Gemma2Config", _WINDOWED),
    "gemma3": ("Gemma3TextConfig", _WINDOWED),
    "stablelm": ("StableLmConfig", _GROUPED),
    "starcoder2": ("Starcoder2Config", _GROUPED),
    "olmo2": ("Olmo2Config", _DEEP),
    "cohere": ("CohereConfig", {**_DEEP, "logit_scale": 1.0}),
    "granite": ("GraniteConfig", {**_DEEP, "logits_scaling": 2.0, "attention_multiplier": 0.3}),
    "smollm3": ("SmolLM3Config", _GROUPED),
}
PLAIN: dict[str, tuple[str, dict[str, Any]]] = {
    "bloom": ("BloomConfig", {**_COMMON, "hidden_size": 64, "n_layer": 2, "n_head": 4}),
    "falcon": ("FalconConfig", _NARROW),
    "gpt-j": ("GPTJConfig", {**_COMMON, "n_embd": 64, "n_layer": 2, "n_head": 4, "rotary_dim": 8, "n_positions": 256}),
    "gpt-neo": (
        "GPTNeoConfig",
        {
            **_COMMON,
            "hidden_size": 64,
            "num_layers": 2,
            "num_heads": 4,
            "attention_types": [[["global", "local"], 1]],
            "window_size": 8,
        },
    ),
    "gpt-oss": (
        "GptOssConfig",
        {**_WINDOWED, "num_local_experts": 4, "rope_parameters": {"rope_type": "default", "rope_theta": 1e4}},
    ),
    "jamba": (
        "JambaConfig",
        {**_GROUPED, "num_experts": 2, "attn_layer_period": 2, "attn_layer_offset": 1},
    ),
    "lfm2": ("Lfm2Config", {**_GROUPED, "layer_types": ["conv", "full_attention"]}),
    "mamba": ("MambaConfig", {**_COMMON, "hidden_size": 64, "num_hidden_layers": 2}),
}


def build(name: str) -> PreTrainedModel:
    """The named architecture with its own random weights, in float32."""
    kind, settings = {**PAGED, **PLAIN}[name]
    config = getattr(transformers, kind)(**settings)
    torch.manual_seed(7)
    from_config: Callable[..., PreTrainedModel] = transformers.AutoModelForCausalLM.from_config
    model = from_config(config)
    model.train(False)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.3)
            elif parameter.abs().max() == 0:
                parameter.normal_(0, 0.1)
    return model
