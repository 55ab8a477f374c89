"""The content of config.json for a GGUF file, from its metadata.

The names of most keys are transformers' own table; what the table leaves out is added here. A key that says something
about the network and is known to neither is refused: leaving it out would give another model's numbers.
"""

import json
import math
from array import array
from collections.abc import Callable
from typing import Any

from transformers.integrations.ggml import GGUF_CONFIG_MAPPING

from inference_server.models.gguf_header import Header
from inference_server.models.safetensors_header import short

THETA = 10_000.0  # llama.cpp's default
IGNORED = {  # of an architecture: read elsewhere, or about something else than the numbers
    *("vocab_size", "rope.dimension_count", "rope.freq_base", "attention.key_length", "attention.value_length"),
    *("rope.scaling.finetuned", "attention.causal", "expert_count", "expert_used_count", "pooling_type"),
}
OPTIONAL = ("attention.head_count_kv", "attention.sliding_window")  # the others have to be stated
SCALING = ("type", "factor", "original_context_length", "attn_factor")
LONG, SHORT, FREQUENCIES = "rope_factors_long.weight", "rope_factors_short.weight", "rope_freqs.weight"
GEMMA_27B = {"gemma2": 46, "gemma3": 62}  # layers of the sizes whose scores are scaled by another width


def describe(header: Header, factors: Callable[[str], list[float]]) -> str:
    """The content of config.json. `factors` reads a small tensor by name. Raises LoadFailed."""
    architecture = header.architecture
    if architecture not in FAMILIES:
        known = ", ".join(FAMILIES)
        raise header.fault(f"its architecture is {short(repr(architecture))}; from GGUF files {known} can be loaded")
    if header.text("general.type", "model") != "model" or header.count("split.count", 1) > 1:
        raise header.fault("it is not a whole model: part of a split one, an adapter or a projector")
    if "token_embd.weight" not in header.tensors:
        raise header.fault("it has no token embeddings (token_embd.weight)")
    return json.dumps(_Config(header, factors).content())


class _Config:
    """One file's configuration."""

    def __init__(self, header: Header, factors: Callable[[str], list[float]]) -> None:
        self._header = header
        self._factors = factors
        self._prefix = header.architecture
        self._read = set(IGNORED)

    def content(self) -> dict[str, Any]:
        header = self._header
        names: Any = GGUF_CONFIG_MAPPING[self._prefix]
        if self.count("expert_count", 0):
            raise header.fault("it is a mixture of experts, which can't be loaded from GGUF files")
        if not header.flag(f"{self._prefix}.attention.causal", True):
            raise header.fault("not a causal LM: its attention sees what follows")
        config: dict[str, Any] = {"vocab_size": header.tensors["token_embd.weight"].shape[0]}
        for key, name in names.items():
            if name is not None and key not in IGNORED and (self.has(key) or key not in OPTIONAL):
                config[name] = self.same(key)
        if "num_attention_heads" in config:
            config.setdefault("num_key_value_heads", config["num_attention_heads"])
        config["tie_word_embeddings"] = "output.weight" not in header.tensors
        for role in ("bos", "eos"):
            if f"tokenizer.ggml.{role}_token_id" in header.metadata:
                config[f"{role}_token_id"] = header.count(f"tokenizer.ggml.{role}_token_id")
        config |= FAMILIES[self._prefix](self, config)
        unread = [
            key
            for key in header.metadata
            if key.startswith(f"{self._prefix}.") and key.removeprefix(f"{self._prefix}.") not in self._read
        ]
        if unread:
            raise header.fault(f"it says {short(unread[0])}, which is not supported")
        return config

    def has(self, key: str) -> bool:
        self._read.add(key)
        return f"{self._prefix}.{key}" in self._header.metadata

    def number(self, key: str, default: float | None = None) -> Any:
        """A number of the architecture."""
        self._read.add(key)
        return self._header.number(f"{self._prefix}.{key}", default)

    def count(self, key: str, default: int | None = None) -> int:
        self._read.add(key)
        return self._header.count(f"{self._prefix}.{key}", default)

    def same(self, key: str) -> Any:
        """A number, or that of an array of equal ones; some files state one per layer."""
        found = self._header.metadata.get(f"{self._prefix}.{key}")
        if isinstance(found, array) and len(set(found)) == 1:
            self._read.add(key)
            return found[0]
        return self.number(key)

    def head(self, config: dict[str, Any]) -> int:
        """A head's width."""
        heads = max(1, config.get("num_attention_heads", 1))
        width = self.count("attention.key_length", config.get("hidden_size", 0) // heads)
        if self.count("attention.value_length", width) != width:
            raise self._header.fault("its keys and values have different widths, which is not supported")
        return width

    def rope(self, *, widths: bool = True, width: int = 0) -> dict[str, Any]:
        """rope_parameters. `widths`: whether the whole of a head of `width` must be rotated."""
        rotated = self.count("rope.dimension_count", width)
        if widths and rotated != width:
            raise self._header.fault(f"it rotates {rotated} of a head's {width} numbers, which is not supported")
        found: dict[str, Any] = {"rope_type": "default", "rope_theta": float(self.number("rope.freq_base", THETA))}
        self._read |= {f"rope.scaling.{name}" for name in SCALING}
        kind = self._header.text(f"{self._prefix}.rope.scaling.type", "none")
        if kind == "none" or LONG in self._header.tensors:
            return found
        if kind not in ("linear", "yarn"):
            raise self._header.fault(f"its rotations are scaled by {short(repr(kind))}, which is not supported")
        found |= {"rope_type": kind, "factor": float(self.number("rope.scaling.factor"))}
        if kind == "yarn":
            found["original_max_position_embeddings"] = self.count("rope.scaling.original_context_length")
        if self.number("rope.scaling.attn_factor", 1.0) != 1:
            raise self._header.fault("it says rope.scaling.attn_factor, which is not supported")
        return found

    def llama(self, config: dict[str, Any]) -> dict[str, Any]:
        width, tensors = self.head(config), self._header.tensors
        window = self.count("attention.sliding_window", 0)
        kind: dict[str, Any] = {"model_type": "mistral", "sliding_window": window} if window else {}
        biased = [name for name in ("attn_q.bias", "ffn_up.bias") if f"blk.0.{name}" in tensors]
        if biased and window:
            raise self._header.fault(f"it has a sliding window and {biased[0]}, which is not supported")
        return {
            "model_type": "llama",
            "head_dim": width,
            "rope_parameters": self.rope(width=width),
            "attention_bias": "attn_q.bias" in biased,
            "mlp_bias": "ffn_up.bias" in biased,
        } | kind

    def qwen(self, config: dict[str, Any]) -> dict[str, Any]:
        width = self.head(config)
        return {"model_type": self._prefix, "head_dim": width, "rope_parameters": self.rope(width=width)}

    def gemma(self, config: dict[str, Any]) -> dict[str, Any]:
        width, layers = self.head(config), config.get("num_hidden_layers")
        hidden, heads = config.get("hidden_size", 0), max(1, config.get("num_attention_heads", 1))
        caps = {
            f"{name}_logit_softcapping": self.number(f"{name}_logit_softcapping", 0.0) or None
            for name in ("attn", "final")
        }
        found: dict[str, Any] = {
            "head_dim": width,
            "query_pre_attn_scalar": hidden // heads if layers == GEMMA_27B[self._prefix] else width,
            **caps,
        }
        self.count("attention.sliding_window")  # it has no default
        if self._prefix == "gemma2":
            return found | {"model_type": "gemma2", "rope_parameters": self.rope(width=width)}
        pattern = self.count("attention.sliding_window_pattern", 6)
        local = {"rope_type": "default", "rope_theta": float(self.number("rope.freq_base_swa", THETA))}
        full = self.rope(width=width)
        if "gemma3.rope.freq_base" not in self._header.metadata:
            full["rope_theta"] = 1_000_000.0  # llama.cpp's default for it
        return found | {
            "model_type": "gemma3_text",
            "sliding_window_pattern": pattern,
            "rope_parameters": {"full_attention": full, "sliding_attention": local},
        }

    def phi3(self, config: dict[str, Any]) -> dict[str, Any]:
        width = self.head(config)
        rotated = self.count("rope.dimension_count", width)
        rope = self.rope(widths=False, width=width) | {"partial_rotary_factor": rotated / max(1, width)}
        original = self.count("rope.scaling.original_context_length", 0)
        window = self.count("attention.sliding_window", 0)
        found: dict[str, Any] = {"model_type": "phi3", "pad_token_id": None, "sliding_window": window or None}
        if LONG in self._header.tensors:
            if not original:
                raise self._header.fault("its rotations depend on a length that it does not say")
            rope |= {"rope_type": "longrope", "original_max_position_embeddings": original}
            rope |= {"long_factor": self._factors(LONG), "short_factor": self._factors(SHORT)}
            stretch = config.get("max_position_embeddings", original) / original
            usual = math.sqrt(1 + math.log(stretch) / math.log(original)) if stretch > 1 else 1.0
            rope |= {"factor": stretch, "attention_factor": float(self.number("rope.scaling.attn_factor", usual))}
            found["original_max_position_embeddings"] = original
        return found | {"rope_parameters": rope}

    def gpt2(self, config: dict[str, Any]) -> dict[str, Any]:
        return {
            "model_type": "gpt2",
            "n_positions": config.pop("n_ctx", 1024),
            "n_inner": config.pop("feed_forward_length", None),
        }


FAMILIES: dict[str, Callable[[_Config, dict[str, Any]], dict[str, Any]]] = {
    "llama": _Config.llama,
    "qwen2": _Config.qwen,
    "qwen3": _Config.qwen,
    "gemma2": _Config.gemma,
    "gemma3": _Config.gemma,
    "phi3": _Config.phi3,
    "gpt2": _Config.gpt2,
}
"""By `general.architecture`; Mistral's files say llama."""
