"""Small random models as GGUF files, in any tensor type, and beside each plain transformers with the same numbers.

Written with gguf's own writer, table of names and quantisation; what that can't quantise is made of random blocks. The
numbers of the network beside it are those of gguf's own dequantisation.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
import transformers as tf
from gguf import GGMLQuantizationType
from gguf.quants import dequantize, quantize
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor

SPREAD = 0.08  # of matrices: with more, layers amplify rounding
HIDDEN, HEADS, GROUPS, LAYERS, CONTEXT = 256, 8, 4, 2, 64
WIDTH = HIDDEN // HEADS
SHARED: dict[str, Any] = {
    "hidden_size": HIDDEN,
    "intermediate_size": 256,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": GROUPS,
    "max_position_embeddings": CONTEXT,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": None,
}
UNTIED: dict[str, Any] = {"tie_word_embeddings": False}
WIDE: dict[str, Any] = {"head_dim": 64}  # not the hidden size over the heads
ROTATED: dict[str, Any] = {"rope_type": "default", "rope_theta": 20_000.0}
BOTH_ROTATED: dict[str, Any] = {"full_attention": ROTATED, "sliding_attention": {**ROTATED, "rope_theta": 10_000.0}}
WINDOW: dict[str, Any] = {"sliding_window": 8}
CAPPED: dict[str, Any] = {"attn_logit_softcapping": 30.0, "final_logit_softcapping": 20.0}
CONFIGS: dict[str, Callable[[int], tf.PreTrainedConfig]] = {
    "llama": lambda v: tf.LlamaConfig(vocab_size=v, rope_parameters=ROTATED, **SHARED),
    "llama_biased": lambda v: tf.LlamaConfig(vocab_size=v, attention_bias=True, mlp_bias=True, **UNTIED, **SHARED),
    "mistral": lambda v: tf.MistralConfig(vocab_size=v, rope_parameters=ROTATED, **UNTIED, **WINDOW, **SHARED),
    "qwen2": lambda v: tf.Qwen2Config(vocab_size=v, rope_parameters=ROTATED, **SHARED),
    "qwen3": lambda v: tf.Qwen3Config(vocab_size=v, rope_parameters=ROTATED, **WIDE, **UNTIED, **SHARED),
    "gemma2": lambda v: tf.Gemma2Config(vocab_size=v, **WIDE, **WINDOW, **CAPPED, query_pre_attn_scalar=64, **SHARED),
    "gemma3": lambda v: tf.Gemma3TextConfig(
        vocab_size=v, rope_parameters=BOTH_ROTATED, query_pre_attn_scalar=64, **WIDE, **WINDOW,
        **{**SHARED, "num_hidden_layers": 6},
    ),
    "phi3": lambda v: tf.Phi3Config(
        vocab_size=v, rope_parameters={**ROTATED, "partial_rotary_factor": 0.5}, **UNTIED, **SHARED
    ),
    "gpt2": lambda v: tf.GPT2Config(
        vocab_size=v, n_embd=HIDDEN, n_layer=LAYERS, n_head=HEADS, n_positions=CONTEXT, n_inner=512,
        bos_token_id=0, eos_token_id=0,
    ),
}  # fmt: skip
"""From a vocabulary's size to a configuration that GGUF files can say."""
FAMILY = {"llama_biased": "llama", "mistral": "llama"}
SCALED = {"Q4_K": (6e-4, 4e-3), "Q5_K": (3e-4, 4e-3), "Q6_K": (1e-4, 0.0)}  # of random blocks
HALVES = {"Q4_K": 0, "Q5_K": 0, "Q6_K": 208}  # where their scales are


@dataclass(frozen=True)
class Written:
    """A file, and plain transformers with its numbers."""

    path: Path
    network: Any


def write(name: str, kinds: tuple[str, ...], vocabulary: Path, path: Path, padding: int = 0) -> Written:
    """Writes one of CONFIGS, its matrices in turn in each of `kinds`, with the byte-level tokenizer of a folder."""
    tokenizer = json.loads((vocabulary / "tokenizer.json").read_text(encoding="utf-8"))
    size = max(tokenizer["model"]["vocab"].values()) + 1 + padding
    config, family = CONFIGS[name](size), FAMILY.get(name, name)
    torch.manual_seed(len(name) + len(kinds[0]))
    network: Any = tf.AutoModelForCausalLM.from_config(config).eval()
    writer = gguf.GGUFWriter(path, family)
    add_config(writer, config, name)
    add_tokenizer(writer, tokenizer, size)
    called = {value: arch for arch, value in gguf.MODEL_ARCH_NAMES.items()}
    table = gguf.get_tensor_name_map(called[family], config.num_hidden_layers)
    tied = set(network.all_tied_weights_keys or ())
    count = 0
    with torch.inference_mode():
        for ours, parameter in network.named_parameters():
            if ours in tied:
                continue
            base, _, last = ours.rpartition(".")
            theirs = f"{table.get_name(base)}.{last}"
            middle, spread = (1.0 if last == "weight" else 0.0, 0.25) if parameter.ndim == 1 else (0.0, SPREAD)
            parameter.normal_(middle, spread)
            there, back = layout(family, theirs, config)
            stored = there(parameter).contiguous().numpy()
            if parameter.ndim == 1:
                writer.add_tensor(theirs, stored)
                continue
            kind = GGMLQuantizationType["F32" if "position" in theirs else kinds[count % len(kinds)]]
            count += 1
            blocks = encoded(stored, kind, count)
            writer.add_tensor(theirs, blocks, raw_dtype=kind)
            parameter.copy_(back(torch.from_numpy(dequantize(blocks, kind).reshape(stored.shape).copy())))
    network.tie_weights()
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return Written(path, network)


def layout(family: str, name: str, config: Any) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """To a tensor as llama.cpp stores it, and back."""
    if family == "llama" and (".attn_q." in name or ".attn_k." in name):
        heads = config.num_attention_heads if ".attn_q." in name else config.num_key_value_heads

        def beside(tensor: Tensor) -> Tensor:
            return tensor.reshape(heads, 2, -1, *tensor.shape[1:]).transpose(1, 2).reshape(tensor.shape)

        def apart(tensor: Tensor) -> Tensor:
            return tensor.reshape(heads, -1, 2, *tensor.shape[1:]).transpose(1, 2).reshape(tensor.shape)

        return beside, apart
    if family.startswith("gemma") and "norm" in name:
        return (lambda tensor: tensor + 1), (lambda tensor: tensor - 1)
    if family == "gpt2" and name.startswith("blk.") and name.endswith("weight") and "norm" not in name:
        return (lambda tensor: tensor.T), (lambda tensor: tensor.T)
    return (lambda tensor: tensor), (lambda tensor: tensor)


def encoded(weights: NDArray[np.float32], kind: GGMLQuantizationType, seed: int) -> NDArray[Any]:
    """A matrix in a tensor type; where gguf has no quantisation, random blocks instead."""
    if kind.name not in SCALED:
        found: NDArray[Any] = quantize(weights, kind)
        return found
    numbers, size = gguf.GGML_QUANT_SIZES[kind]
    draw = np.random.default_rng(seed)
    blocks = draw.integers(0, 256, (weights.size // numbers, size), dtype=np.uint8)
    at = HALVES[kind.name]
    scales = np.array(SCALED[kind.name][: 1 if kind.name == "Q6_K" else 2]) * draw.uniform(0.5, 1, (len(blocks), 1))
    blocks[:, at : at + 2 * scales.shape[1]] = scales.astype(np.float16).view(np.uint8)
    return blocks.reshape(len(weights), -1)


def add_config(writer: Any, config: Any, name: str) -> None:
    """The keys of an architecture, as llama.cpp's converter writes them."""
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_head_count(HEADS)
    if name == "gpt2":
        writer.add_feed_forward_length(config.n_inner)
        writer.add_layer_norm_eps(config.layer_norm_epsilon)
        return
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count_kv(GROUPS)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    rope = config.rope_parameters
    full = rope.get("full_attention", rope)
    writer.add_rope_freq_base(full["rope_theta"])
    width = getattr(config, "head_dim", None) or WIDTH
    if width != WIDTH or name.startswith("gemma"):
        writer.add_key_length(width)
        writer.add_value_length(width)
    if name in ("llama", "phi3"):
        writer.add_rope_dimension_count(int(WIDTH * full.get("partial_rotary_factor", 1)))
    if (window := getattr(config, "sliding_window", None)) and name in ("mistral", "gemma2", "gemma3"):
        writer.add_sliding_window(window)
    if name == "gemma2":
        writer.add_attn_logit_softcapping(config.attn_logit_softcapping)
        writer.add_final_logit_softcapping(config.final_logit_softcapping)


def add_tokenizer(writer: Any, tokenizer: dict[str, Any], size: int) -> None:
    """A byte-level vocabulary as the converter writes it, padded to a size."""
    special = {token["id"] for token in tokenizer["added_tokens"]}
    names = {index: name for name, index in tokenizer["model"]["vocab"].items()}
    types = gguf.TokenType
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([names.get(index, f"[PAD{index}]") for index in range(size)])
    writer.add_token_types(
        [types.CONTROL if i in special else types.NORMAL if i in names else types.UNUSED for i in range(size)]
    )
    merges = tokenizer["model"]["merges"]
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in merges])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    writer.add_add_bos_token(False)
    writer.add_chat_template("{{ messages[0]['content'] }}")


def own(vocabulary: Path) -> Tokenizer:
    """What the tokenizers library makes of the folder's tokenizer.json."""
    return Tokenizer.from_file(str(vocabulary / "tokenizer.json"))
