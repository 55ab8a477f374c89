"""What tensors of GGUF files are called in transformers, judged by gguf's own table in the other direction."""

import gguf
import pytest

from inference_server.models import gguf_names

ABSENT = ("output", "blk.11.attn_q_norm", "blk.11.attn_k_norm", "blk.11.ffn_gate")
ARCHITECTURES = {value: arch for arch, value in gguf.MODEL_ARCH_NAMES.items()}


@pytest.mark.parametrize("architecture", gguf_names.PARTS)
def test_names_are_those_of_gguf(architecture: str) -> None:
    table = gguf.get_tensor_name_map(ARCHITECTURES[architecture], 12)
    top, _, inside = gguf_names.PARTS[architecture]
    for theirs in [*top, *(f"blk.11.{part}" for part in inside)]:
        ours = gguf_names.translated(f"{theirs}.weight", architecture)
        assert ours is not None
        found = table.get_name(ours.removesuffix(".weight"))
        if found is None:  # shared between architectures here, and not one of this
            assert theirs in ABSENT
        else:
            assert found == theirs


@pytest.mark.parametrize("name", ["blk.0.ffn_gate_exps.weight", "blk.x.attn_q.weight", "attn_q.weight", "rope_freqs"])
def test_an_unknown_name_is_none(name: str) -> None:
    assert gguf_names.translated(name, "llama") is None


def test_only_llamas_rows_are_in_another_order() -> None:
    assert gguf_names.pairs_apart("blk.3.attn_q.bias", "llama")
    assert not gguf_names.pairs_apart("blk.3.attn_v.weight", "llama")
    assert not gguf_names.pairs_apart("blk.3.attn_q.weight", "qwen2")


def test_gemmas_norms_lie_about_one_and_gpt2s_layers_across() -> None:
    assert gguf_names.lies_about_one("blk.0.attn_norm.weight", "gemma3")
    assert not gguf_names.lies_about_one("blk.0.attn_norm.weight", "llama")
    assert gguf_names.lies_across("transformer.h.0.mlp.c_fc.weight", "gpt2")
    assert not gguf_names.lies_across("transformer.wte.weight", "gpt2")
