"""Architectures as small random models: real code, random weights, distributions peaked enough to show a mistake."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers as tf

HIDDEN = 32
LAYERS = 2
HEADS = 4
CONTEXT = 64
SPREAD = 3.0  # standard deviation of the logits: top probabilities of 0.1 to 0.9 over a vocabulary of a thousand

NO_MARKS: dict[str, Any] = {"bos_token_id": None, "eos_token_id": None}

# What most configurations call the same thing by the same name.
COMMON: dict[str, Any] = {
    "hidden_size": HIDDEN,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "max_position_embeddings": CONTEXT,
    "initializer_range": 0.25,
    "pad_token_id": None,
    **NO_MARKS,
}
UNTIED: dict[str, Any] = {"tie_word_embeddings": False}  # tied, an embedding outweighs what small layers add to it
GATED: dict[str, Any] = {**COMMON, "intermediate_size": 48, "num_key_value_heads": 2}
HEAD_DIM: dict[str, Any] = {**GATED, "head_dim": 8}
LONGROPE = {
    "rope_type": "longrope",
    "rope_theta": 10_000.0,
    "short_factor": [1.0, 1.5, 2.0, 2.5],
    "long_factor": [1.0, 4.0, 8.0, 16.0],
    "original_max_position_embeddings": 10,  # the trial of a model at load stays below
    "factor": 8.0,
}

ARCHITECTURES: dict[str, Callable[[int], tf.PreTrainedConfig]] = {
    "gpt2": lambda v: tf.GPT2Config(
        vocab_size=v,
        n_embd=HIDDEN,
        n_layer=LAYERS,
        n_head=HEADS,
        n_positions=CONTEXT,
        initializer_range=0.25,
        **NO_MARKS,
    ),
    "gpt_neox": lambda v: tf.GPTNeoXConfig(vocab_size=v, intermediate_size=64, **COMMON),
    "opt": lambda v: tf.OPTConfig(
        vocab_size=v, ffn_dim=64, word_embed_proj_dim=HIDDEN, init_std=0.25, **{**COMMON, "pad_token_id": 1}
    ),
    "bloom": lambda v: tf.BloomConfig(
        vocab_size=v, hidden_size=HIDDEN, n_layer=LAYERS, n_head=HEADS, initializer_range=0.25, **NO_MARKS
    ),
    "llama": lambda v: tf.LlamaConfig(vocab_size=v, **GATED),
    "mistral_sliding": lambda v: tf.MistralConfig(vocab_size=v, sliding_window=4, **HEAD_DIM, **UNTIED),
    "qwen2": lambda v: tf.Qwen2Config(vocab_size=v, **GATED),
    "qwen3": lambda v: tf.Qwen3Config(vocab_size=v, **HEAD_DIM),
    "gemma2": lambda v: tf.Gemma2Config(vocab_size=v, sliding_window=4, **HEAD_DIM, **UNTIED),
    "gemma3": lambda v: tf.Gemma3TextConfig(vocab_size=v, sliding_window=4, **HEAD_DIM, **UNTIED),
    "phi3": lambda v: tf.Phi3Config(vocab_size=v, **GATED),
    "phi3_longrope": lambda v: tf.Phi3Config(
        vocab_size=v, rope_parameters=LONGROPE, original_max_position_embeddings=10, **GATED
    ),
    "falcon": lambda v: tf.FalconConfig(vocab_size=v, **COMMON),
    "falcon_alibi": lambda v: tf.FalconConfig(vocab_size=v, alibi=True, new_decoder_architecture=False, **COMMON),
    "mamba": lambda v: tf.MambaConfig(
        vocab_size=v, hidden_size=HIDDEN, num_hidden_layers=LAYERS, state_size=8, initializer_range=0.25, **UNTIED
    ),
    "mixtral": lambda v: tf.MixtralConfig(vocab_size=v, num_local_experts=4, num_experts_per_tok=2, **GATED),
    "qwen3_moe": lambda v: tf.Qwen3MoeConfig(
        vocab_size=v, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=24, **HEAD_DIM
    ),
    "cohere": lambda v: tf.CohereConfig(vocab_size=v, **GATED, **UNTIED),
    "biogpt": lambda v: tf.BioGptConfig(vocab_size=v, intermediate_size=64, **{**COMMON, **UNTIED, "pad_token_id": 1}),
    "rwkv": lambda v: tf.RwkvConfig(
        vocab_size=v, hidden_size=HIDDEN, num_hidden_layers=LAYERS, context_length=CONTEXT, use_cache=False
    ),
}
"""From a vocabulary's size to the configuration of a small model."""


def build(name: str, vocab_size: int, folder: Path) -> None:
    """Writes config.json and model.safetensors of one of ARCHITECTURES into a folder: the same weights every time."""
    torch.manual_seed(len(name) + vocab_size)
    network: Any = tf.AutoModelForCausalLM.from_config(ARCHITECTURES[name](vocab_size)).eval()
    ids = torch.arange(1, 9)[None]
    with torch.inference_mode():
        for _ in range(2):  # twice: where weights are tied, the first scaling also changes what goes in
            head = network.get_output_embeddings().weight
            head *= SPREAD / network(ids).logits.float().std()
    network.save_pretrained(folder)
