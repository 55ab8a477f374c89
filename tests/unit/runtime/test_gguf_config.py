"""config.json out of GGUF metadata: what llama.cpp's keys mean to transformers, and what is refused."""

import json
from array import array
from pathlib import Path
from typing import Any

import pytest

from inference_server.errors import LoadFailed
from inference_server.models.gguf_header import Header
from inference_server.models.safetensors_header import Tensor
from inference_server.runtime import gguf_config

SHARED: dict[str, Any] = {
    "context_length": 4096,
    "embedding_length": 64,
    "block_count": 3,
    "feed_forward_length": 128,
    "attention.head_count": 4,
    "attention.layer_norm_rms_epsilon": 1e-5,
}
GEMMA = {"attention.key_length": 32, "attention.value_length": 32, "attention.sliding_window": 512}
TABLE = Tensor("F32", (100, 64), 0, 25_600)


def header(architecture: str, tensors: tuple[str, ...] = (), **keys: Any) -> Header:
    metadata = {f"{architecture}.{name}": value for name, value in {**SHARED, **keys}.items() if value is not None}
    return Header(
        Path("some.gguf"),
        {"general.architecture": architecture, "tokenizer.ggml.eos_token_id": 7, **metadata},
        {"token_embd.weight": TABLE, **dict.fromkeys(tensors, TABLE)},
    )


def described(architecture: str, tensors: Any = (), **keys: Any) -> dict[str, Any]:
    factors = {gguf_config.LONG: [2.0, 4.0], gguf_config.SHORT: [1.0, 1.0]}
    found: dict[str, Any] = json.loads(
        gguf_config.describe(header(architecture, tensors, **keys), lambda name: factors[name])
    )
    return found


def test_llama() -> None:
    found = described("llama", **{"rope.freq_base": 5e5, "attention.head_count_kv": 2, "rope.dimension_count": 16})
    assert found["model_type"] == "llama"
    assert (found["vocab_size"], found["num_hidden_layers"], found["max_position_embeddings"]) == (100, 3, 4096)
    assert (found["num_attention_heads"], found["num_key_value_heads"], found["head_dim"]) == (4, 2, 16)
    assert found["rope_parameters"] == {"rope_type": "default", "rope_theta": 5e5}
    assert (found["tie_word_embeddings"], found["attention_bias"], found["eos_token_id"]) == (True, False, 7)


def test_what_is_not_stated_is_llama_cpps_default() -> None:
    found = described("qwen2")
    assert (found["num_key_value_heads"], found["rope_parameters"]["rope_theta"]) == (4, 10_000.0)


def test_tensors_say_what_keys_do_not() -> None:
    found = described("llama", ("output.weight", "blk.0.attn_q.bias", "blk.0.ffn_up.bias"))
    assert (found["tie_word_embeddings"], found["attention_bias"], found["mlp_bias"]) == (False, True, True)


def test_a_window_makes_a_mistral() -> None:
    found = described("llama", **{"attention.sliding_window": 1000})
    assert (found["model_type"], found["sliding_window"]) == ("mistral", 1000)


def test_scaled_rotations() -> None:
    linear = {"rope.scaling.type": "linear", "rope.scaling.factor": 8.0}
    assert described("llama", **linear)["rope_parameters"]["factor"] == 8
    yarn = {"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0, "rope.scaling.original_context_length": 2048}
    found = described("qwen2", **yarn)["rope_parameters"]
    assert (found["rope_type"], found["factor"], found["original_max_position_embeddings"]) == ("yarn", 4, 2048)


def test_gemma() -> None:
    two = described("gemma2", **GEMMA, final_logit_softcapping=30.0, attn_logit_softcapping=50.0)
    assert (two["query_pre_attn_scalar"], two["sliding_window"], two["head_dim"]) == (32, 512, 32)
    assert (two["final_logit_softcapping"], two["attn_logit_softcapping"]) == (30, 50)
    scaling = {"rope.scaling.type": "linear", "rope.scaling.factor": 8.0}
    three = described("gemma3", **{**GEMMA, **scaling, "rope.freq_base": 1e6})
    assert three["model_type"] == "gemma3_text"
    assert three["rope_parameters"]["full_attention"] == {"rope_type": "linear", "rope_theta": 1e6, "factor": 8}
    assert three["rope_parameters"]["sliding_attention"] == {"rope_type": "default", "rope_theta": 10_000.0}
    large = described("gemma3", **{**GEMMA, "block_count": 62})
    assert large["query_pre_attn_scalar"] == 16  # the largest size's scores: the hidden size over the heads


def test_phi3s_factors_are_tensors() -> None:
    keys = {"rope.scaling.original_context_length": 1024, "rope.dimension_count": 16, "rope.scaling.attn_factor": 1.2}
    rope = described("phi3", (gguf_config.LONG, gguf_config.SHORT), **keys)["rope_parameters"]
    assert (rope["rope_type"], rope["long_factor"], rope["short_factor"]) == ("longrope", [2, 4], [1, 1])
    assert (rope["attention_factor"], rope["original_max_position_embeddings"]) == (1.2, 1024)
    half = described("phi3", **{"rope.dimension_count": 8})["rope_parameters"]
    assert (half["rope_type"], half["partial_rotary_factor"]) == ("default", 0.5)


def test_one_number_for_all_layers_may_be_an_array() -> None:
    assert described("llama", feed_forward_length=array("i", [128] * 3))["intermediate_size"] == 128


@pytest.mark.parametrize(
    ("architecture", "keys", "words"),
    [
        ("clip", {}, "its architecture is 'clip'; from GGUF files llama, "),
        ("llama", {"expert_count": 8}, "mixture of experts"),
        ("llama", {"attention.causal": False}, "not a causal LM"),
        ("llama", {"logit_scale": 2.0}, "it says llama.logit_scale"),
        ("llama", {"rope.dimension_count": 8}, "rotates 8 of a head's 16"),
        ("llama", {"rope.scaling.type": "longrope"}, "scaled by 'longrope'"),
        ("llama", {"rope.scaling.type": "linear"}, "has no llama.rope.scaling.factor"),
        ("llama", {"attention.value_length": 8}, "different widths"),
        ("llama", {"embedding_length": None}, "has no llama.embedding_length"),
        ("llama", {"embedding_length": "64"}, "embedding_length is not a number"),
        ("llama", {"feed_forward_length": array("i", [1, 2, 3])}, "feed_forward_length is not a number"),
        ("gemma3", {"attention.key_length": 32, "attention.value_length": 32}, "has no gemma3.attention.sliding"),
    ],
)
def test_what_would_give_other_numbers_is_refused(architecture: str, keys: dict[str, Any], words: str) -> None:
    with pytest.raises(LoadFailed, match=rf"some\.gguf: .*{words}"):
        described(architecture, **keys)


@pytest.mark.parametrize("extra", [{"split.count": 2}, {"general.type": "adapter"}, {"general.type": "mmproj"}])
def test_parts_of_a_model_are_refused(extra: dict[str, Any]) -> None:
    whole = header("llama")
    with pytest.raises(LoadFailed, match="not a whole model"):
        gguf_config.describe(Header(whole.path, whole.metadata | extra, whole.tensors), lambda name: [])
