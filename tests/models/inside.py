"""What layers, contributions and attention must be: plain transformers with hooks at places written down per model."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import transformers as tf
from torch import Tensor, nn

from models import architectures
from models.architectures import ARCHITECTURES, COMMON, GATED, HEAD_DIM, UNTIED, build

MORE: dict[str, Callable[[int], tf.PreTrainedConfig]] = {
    "granite": lambda v: tf.GraniteConfig(
        vocab_size=v, residual_multiplier=0.22, logits_scaling=4.0, embedding_multiplier=3.0, **GATED, **UNTIED
    ),
    "olmo2": lambda v: tf.Olmo2Config(vocab_size=v, **GATED, **UNTIED),
    "phi": lambda v: tf.PhiConfig(vocab_size=v, intermediate_size=64, **COMMON, **UNTIED),
    "opt_projected": lambda v: tf.OPTConfig(
        vocab_size=v, ffn_dim=64, word_embed_proj_dim=16, init_std=0.25, **{**COMMON, "pad_token_id": 1}
    ),
    "gpt_oss": lambda v: tf.GptOssConfig(
        vocab_size=v, num_local_experts=4, num_experts_per_tok=2, sliding_window=4, **HEAD_DIM, **UNTIED
    ),
}
"""Beyond ARCHITECTURES: multipliers, norms after the parts, a head with biases, a projection, attention sinks."""

EVERY = [*ARCHITECTURES, *MORE]


def widened(name: str) -> Callable[[int], tf.PreTrainedConfig]:
    """An architecture with heads that fill a register of any processor, as the compiled pass requires."""

    def configuration(vocab_size: int) -> tf.PreTrainedConfig:
        config = ARCHITECTURES[name](vocab_size)
        config.head_dim = 16
        return config

    return configuration


WIDE = {f"{name}_wide": widened(name) for name in ("llama", "mistral_sliding", "qwen2", "qwen3")}


class Places(NamedTuple):
    """Paths of modules in a network; in each block those whose outputs it adds."""

    blocks: str = "model.layers"
    norm: str = "model.norm"
    head: str = "lm_head"
    attention: str = "self_attn"
    mlp: str = "mlp"
    factor: float = 1.0
    before_head: str = ""


GPT = Places("transformer.h", "transformer.ln_f", attention="attn")
OPT = Places("model.decoder.layers", "model.decoder.final_layer_norm", mlp="fc2")
PLACES = {
    "gpt2": GPT,
    "bloom": GPT._replace(attention="self_attention.dense", mlp="mlp.dense_4h_to_h"),
    "falcon": GPT._replace(attention="self_attention", mlp="mlp.dense_4h_to_h"),
    "falcon_alibi": GPT._replace(attention="self_attention", mlp="mlp.dense_4h_to_h"),
    "gpt_neox": Places("gpt_neox.layers", "gpt_neox.final_layer_norm", attention="attention"),
    "opt": OPT,
    "opt_projected": OPT._replace(before_head="model.decoder.project_out"),
    "gemma2": Places(attention="post_attention_layernorm", mlp="post_feedforward_layernorm"),
    "gemma3": Places(attention="post_attention_layernorm", mlp="post_feedforward_layernorm"),
    "olmo2": Places(attention="post_attention_layernorm", mlp="post_feedforward_layernorm"),
    "phi": Places(norm="model.final_layernorm"),
    "granite": Places(factor=0.22),
    "biogpt": Places("biogpt.layers", "biogpt.layer_norm", "output_projection", mlp="fc2"),
    "mamba": Places("backbone.layers", "backbone.norm_f"),
    "rwkv": Places("rwkv.blocks", "rwkv.ln_out", "head"),
}
AFTER: dict[str, Callable[[Tensor], Tensor]] = {
    "gemma2": lambda logits: torch.tanh(logits / 30) * 30,
    "cohere": lambda logits: logits * 0.0625,
    "granite": lambda logits: logits / 4,
}
"""What a model does to its head's output."""
NO_PARTS = {"mamba", "rwkv"}
"""Without an attention and an MLP in each block, and without attention weights."""


def unchanged(logits: Tensor) -> Tensor:
    return logits


def folder_of(name: str, place: Path, vocab_size: int = 300) -> Path:
    """A small model's files: one of ARCHITECTURES, MORE or WIDE."""
    every = {**ARCHITECTURES, **MORE, **WIDE}
    given = architectures.ARCHITECTURES
    architectures.ARCHITECTURES = every
    try:
        build(name, vocab_size, place)
    finally:
        architectures.ARCHITECTURES = given
    return place


class Inside:
    """One prompt in one network, looked at from within."""

    def __init__(self, name: str, network: Any, ids: Sequence[int]) -> None:
        self.name, self.network = name, network
        self.at = PLACES.get(name, Places())
        self.blocks = list(network.get_submodule(self.at.blocks))
        self.states: list[Tensor] = []
        self.attention: list[Tensor] = []
        self.mlp: list[Tensor] = []
        hooks = [self.blocks[0].register_forward_pre_hook(self._before, with_kwargs=True)]
        for block in self.blocks:
            hooks.append(block.register_forward_hook(keep(self.states)))
            if name not in NO_PARTS:
                attention = block.get_submodule(self.at.attention)
                mlp = block.get_submodule(self.at.mlp)
                hooks += [
                    attention.register_forward_hook(keep(self.attention)),
                    mlp.register_forward_hook(keep(self.mlp)),
                ]
        with torch.inference_mode():
            self.final = network(input_ids=torch.tensor([list(ids)])).logits[0, -1].double()
        for hook in hooks:
            hook.remove()

    def logits(self) -> list[Tensor]:
        """Of the embedding and of each block, in float64."""
        after = AFTER.get(self.name, unchanged)
        with torch.inference_mode():
            return [after(self._raw(self._module(self.at.norm)(state[None, None]))).double() for state in self.states]

    def contributions(self, contrast: tuple[int, int]) -> tuple[float, list[float]]:
        """The difference before a soft cap; embedding, then attention and MLP block by block, then the constant."""
        norm, state = self._module(self.at.norm), self.states[-1].double()
        centred = isinstance(norm, nn.LayerNorm) or "LayerNorm" in type(norm).__name__
        inner = state - state.mean() if centred else state
        epsilon = next(getattr(norm, each) for each in ("eps", "variance_epsilon") if hasattr(norm, each))
        scale = torch.rsqrt(inner.square().mean() + epsilon)
        weight = norm.weight.detach().double()
        weight = weight + 1 if "Gemma" in type(norm).__name__ else weight
        bias = getattr(norm, "bias", None)
        factor = {"cohere": 0.0625, "granite": 0.25}.get(self.name, 1.0)
        with torch.inference_mode():

            def difference(normed: Tensor) -> float:
                if self.at.before_head:
                    normed = normed @ self._module(self.at.before_head).weight.double().T
                row = self._module(self.at.head).weight.double()
                return float((row[contrast[0]] - row[contrast[1]]) @ normed) * factor

            def share(part: Tensor) -> float:
                part = part - part.mean() if centred else part
                return difference(part * scale * weight)

            shares = [share(self.states[0].double())]
            for attention, mlp in zip(self.attention, self.mlp, strict=True):
                shares += [share(each.double() * self.at.factor) for each in (attention, mlp)]
            head_bias = getattr(self._module(self.at.head), "bias", None)
            constant = difference(bias.double()) if bias is not None else 0.0
            if head_bias is not None:
                constant += float(head_bias[contrast[0]] - head_bias[contrast[1]]) * factor
            raw = self._raw(self._module(self.at.norm)(self.states[-1][None, None])) * factor
            return float(raw[contrast[0]] - raw[contrast[1]]), [*shares, constant]

    def _raw(self, normed: Tensor) -> Tensor:
        if self.at.before_head:
            normed = self._module(self.at.before_head)(normed)
        found: Tensor = self._module(self.at.head)(normed)
        return found[0, 0]

    def _module(self, path: str) -> Any:
        return self.network.get_submodule(path)

    def _before(self, _: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.states.append((args[0] if args else kwargs["hidden_states"])[0, -1].clone())


def keep(into: list[Tensor]) -> Callable[..., None]:
    """A hook that keeps the last token's row of what a module returns."""

    def hook(_module: object, _args: object, out: Any) -> None:
        found = out[0] if isinstance(out, tuple) else out
        into.append(found.reshape(-1, found.shape[-1])[-1].clone())

    return hook


def eager_attention(folder: Path, ids: Sequence[int]) -> list[Tensor]:
    """Per block: the last token's attention weights (heads, tokens) as an eager load gives them."""
    network: Any = tf.AutoModelForCausalLM.from_pretrained(folder, dtype="float32", attn_implementation="eager").eval()
    with torch.inference_mode():
        found = network(input_ids=torch.tensor([list(ids)]), output_attentions=True).attentions
    return [each[0, :, -1] for each in found]
