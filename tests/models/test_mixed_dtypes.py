"""Checkpoints in 16 bits in which a few weights have 32: those keep them, and the others stay as they are."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import transformers as tf
from torch import Tensor

from inference_server.cpu import dtype as dtype_module
from inference_server.runtime import architecture, devices
from inference_server.runtime.load_plan import LoadPlan
from inference_server.runtime.model import Model
from inference_server.runtime.network import Network
from models import architectures
from models.test_weight_loader import Tensors, rewrite

IDS = [5, 6, 7, 11]
FREQUENCIES = "model.layers.0.self_attn.rotary_emb.inv_freq"  # in files of older models; nothing reads them
LLAMA, TIED = (
    tf.LlamaConfig(vocab_size=300, tie_word_embeddings=tied, **architectures.HEAD_DIM) for tied in (False, True)
)
ROUTED = tf.DeepseekV3Config(
    vocab_size=300, hidden_size=32, intermediate_size=48, moe_intermediate_size=16, num_hidden_layers=2,
    num_attention_heads=4, num_key_value_heads=4, n_routed_experts=4, n_shared_experts=1, num_experts_per_tok=2,
    n_group=2, topk_group=1, first_k_dense_replace=1, q_lora_rank=16, kv_lora_rank=16, qk_rope_head_dim=8,
    qk_nope_head_dim=8, v_head_dim=8, max_position_embeddings=64,
)  # fmt: skip
KINDS: dict[str, tuple[tf.PreTrainedConfig, str]] = {
    "norms": (LLAMA, r"norm\.weight"),
    "one matrix": (LLAMA, r"layers\.0\.mlp\.down_proj\.weight"),
    "embedding": (LLAMA, r"embed_tokens\.weight"),
    "head": (LLAMA, r"lm_head\.weight"),
    "embedding that is the head": (TIED, r"embed_tokens\.weight"),
    "bias of a router": (ROUTED, r"e_score_correction_bias"),
    "router": (ROUTED, r"mlp\.gate\.weight"),
}


def write(folder: Path, config: tf.PreTrainedConfig, wide: str, half: torch.dtype = torch.bfloat16) -> None:
    """Some of the weights with numbers that 16 bits do not hold."""
    torch.manual_seed(3)
    network: Any = tf.AutoModelForCausalLM.from_config(config)
    network.to(half).save_pretrained(folder)

    def widen(tensors: Tensors) -> None:
        chosen = [name for name in tensors if re.search(rf"{wide}$", name)]
        assert chosen
        tensors |= {name: tensors[name].float() + 0.05 * torch.randn(tensors[name].shape) for name in chosen}

    rewrite(folder, widen)


def without_prefix(tensors: Tensors) -> None:
    for name in [name for name in tensors if name.startswith("model.")]:
        tensors[name.removeprefix("model.")] = tensors.pop(name)


def narrow_but_for_frequencies(tensors: Tensors) -> None:
    tensors |= {name: each.bfloat16() for name, each in tensors.items()} | {FREQUENCIES: torch.ones(4)}


def plan(folder: Path) -> LoadPlan:
    return LoadPlan.of(folder, architecture.configuration(folder), devices.find("cpu"))


def expected(folder: Path) -> Tensor:
    network = tf.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.inference_mode():
        logits: Tensor = network(torch.tensor([IDS])).logits[0, -1]
    return logits


@pytest.fixture(autouse=True)
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dtype_module, "LEAST_ELEMENTS", 1)


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_each_weight_is_as_in_the_file(tmp_path: Path, kind: str, half: torch.dtype) -> None:
    write(tmp_path, *KINDS[kind], half)
    found = Network.read(tmp_path, "cpu")
    assert found.compiled
    stored: dict[str, Tensor] = safetensors.torch.load_file(tmp_path / "model.safetensors")
    assert {each.dtype for each in stored.values()} == {half, torch.float32}
    held = found.module.state_dict()
    for name in held.keys() & stored.keys():
        torch.testing.assert_close(held[name].float(), stored[name].float(), rtol=0, atol=0)
    assert half in {each.dtype for each in held.values()}
    tensors = [*found.module.parameters(), *found.module.buffers()]
    assert plan(tmp_path).needed == sum({each.data_ptr(): each.nbytes for each in tensors}.values())
    logits = Model.load(tmp_path, "cpu").whole_pass.last_logits(IDS)
    torch.testing.assert_close(logits, expected(tmp_path), atol=1e-5, rtol=1e-5)


def test_what_nothing_reads_widens_nothing(tmp_path: Path) -> None:
    write(tmp_path, LLAMA, r"norm\.weight")
    rewrite(tmp_path, narrow_but_for_frequencies)
    assert (plan(tmp_path).dtype, plan(tmp_path).wide) == (torch.bfloat16, frozenset())
    torch.testing.assert_close(
        Model.load(tmp_path, "cpu").whole_pass.last_logits(IDS), expected(tmp_path), atol=1e-5, rtol=1e-5
    )


def test_weights_by_other_names_are_widened_together(tmp_path: Path) -> None:
    """transformers knows where they belong, and has one dtype for all."""
    write(tmp_path, LLAMA, r"norm\.weight")
    rewrite(tmp_path, without_prefix)
    found = plan(tmp_path)
    assert (found.dtype, found.compiled, found.wide) == (torch.float32, True, frozenset())
    assert found.needed == found.blueprint.bytes_at(4)
    torch.testing.assert_close(
        Model.load(tmp_path, "cpu").whole_pass.last_logits(IDS), expected(tmp_path), atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("turn", [lambda each: each.flip(0), lambda each: each.T.contiguous()], ids=["rows", "sides"])
def test_weights_that_transformers_turns_about_are_widened_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, turn: Callable[[Tensor], Tensor]
) -> None:
    """As it does to the experts of some models, by the same name."""
    name = "model.layers.0.self_attn.q_proj.weight"
    read: Any = tf.LlamaForCausalLM.from_pretrained

    def turning(_: Any, *args: Any, **kwargs: Any) -> Any:
        network, found = read(*args, **kwargs)
        weight = network.get_parameter(name)
        weight.data = turn(weight.data)
        return network, found

    write(tmp_path, LLAMA, r"layers\.0\.self_attn\.q_proj\.weight")
    stored: dict[str, Tensor] = safetensors.torch.load_file(tmp_path / "model.safetensors")
    monkeypatch.setattr(tf.LlamaForCausalLM, "from_pretrained", classmethod(turning))
    held = Network.read(tmp_path, "cpu").module.state_dict()
    assert {each.dtype for each in held.values()} == {torch.float32}
    torch.testing.assert_close(held[name], turn(stored[name]), rtol=0, atol=0)


def test_the_fused_decoder_reads_them(tmp_path: Path) -> None:
    config = tf.LlamaConfig(vocab_size=300, **{**architectures.HEAD_DIM, "head_dim": 16})
    write(tmp_path, config, r"norm\.weight|layers\.0\.mlp\.down_proj\.weight")
    runner = Model.load(tmp_path, "cpu", cache_bytes=1 << 20).runner
    assert runner is not None
    assert runner.fused
