"""Every image-text type of transformers as a small random model, images included."""

from collections.abc import Callable
from typing import Any

import transformers
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES as NAMES

KINDS = tuple(NAMES)
VOCABULARY = 200
SPREAD = 0.15  # standard deviation of every matrix: logits spread by about one
SIZES = {
    **dict.fromkeys(("hidden_size", "embed_dim", "d_model", "word_embed_proj_dim", "out_hidden_size"), 64),
    **dict.fromkeys(("intermediate_size", "mlp_dim", "ffn_dim", "encoder_ffn_dim", "dense_intermediate_size"), 64),
    **dict.fromkeys(("moe_intermediate_size", "shared_expert_intermediate_size", "moe_hidden_size"), 32),
    **dict.fromkeys(("num_hidden_layers", "num_layers", "layers", "depth", "n_layer", "encoder_layers"), 2),
    **dict.fromkeys(("num_attention_heads", "num_heads", "attention_heads", "encoder_attention_heads"), 4),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "moe_k", "num_key_value_heads"), 2),
    **dict.fromkeys(("n_group", "topk_group", "n_shared_experts"), 1),
    **{"head_dim": 16, "image_size": 32, "patch_size": 16, "vocab_size": VOCABULARY, "max_position_embeddings": 128},
    **{"qk_nope_head_dim": 16, "qk_rope_head_dim": 16, "v_head_dim": 16, "kv_lora_rank": 16, "q_lora_rank": 16},
}
MARKS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
"""What most configurations call the same thing by the same name, at every depth."""


def shrink(config: Any) -> None:
    """Makes a default configuration small, and those nested in it."""
    deep = getattr(config, "num_hidden_layers", None)
    kept = ("num_hidden_layers", "head_dim") if vars(config).get("per_layer_config") else ()
    for name, value in SIZES.items():
        if type(_get(config, name)) is int and name not in kept:
            setattr(config, name, value)
    for name, value in MARKS.items():
        if _get(config, name) is not None:
            setattr(config, name, value)
    for name, value in vars(config).copy().items():
        if isinstance(value, list) and len(value) == deep and not kept:  # something per layer: one of each kind
            first, *others = dict.fromkeys(value)
            setattr(config, name, [first, others[0] if others else first])
    rotations = _get(config, "rope_parameters")
    if isinstance(rotations, dict) and "mrope_section" in rotations:
        rotations["mrope_section"] = [2, 3, 3]
    for name in getattr(config, "sub_configs", {}):
        nested = getattr(config, name, None)
        if isinstance(nested, transformers.PreTrainedConfig):
            shrink(nested)


def _get(config: Any, name: str) -> Any:
    try:
        return getattr(config, name, None)
    except Exception:  # one value per layer
        return None


def _text(**changes: Any) -> Callable[[Any], None]:
    def change(config: Any) -> None:
        for name, value in changes.items():
            setattr(config.get_text_config(decoder=True), name, value)

    return change


def _words(config: Any) -> None:
    config.vocabulary_map = {"<image>": 5, "IMGIMGBA": 6}


def _blip(config: Any) -> None:
    config.text_config.encoder_hidden_size = config.vision_config.hidden_size


def _kinds(config: Any) -> None:
    rope = {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [2, 3, 3]}
    config.text_config.rope_parameters = dict.fromkeys(("full_attention", "sliding_attention"), rope)
    config.text_config.sliding_window = 8


def _multiple(*sections: int) -> Callable[[Any], None]:
    def change(config: Any) -> None:
        config.get_text_config(decoder=True).rope_parameters["mrope_section"] = [*sections]

    return change


def _granite(config: Any) -> None:
    config.deepstack_layer_map, config.downsample_rate = [[0, 0]], "1/2"


def _step(config: Any) -> None:
    _kinds(config)
    config.text_config.num_sliding_attention_heads = 4


def _hunyuan(config: Any) -> None:
    _text(head_dim=16)(config)
    _multiple(2, 2, 2, 2)(config)


def _molmo(config: Any) -> None:
    config.adapter_config.vision_feature_layer = [1, 0]


def _perception(config: Any) -> None:
    config.vision_config.model_args = {"embed_dim": 64}


def _inkling(config: Any) -> None:
    config.vision_config.text_hidden_size = 64
    config.text_config.swa_num_attention_heads, config.text_config.swa_num_key_value_heads = 4, 2
    config.text_config.swa_head_dim = 16


LATENT = _text(num_key_value_heads=4, qk_head_dim=32, head_dim=16)
TWEAKS: dict[str, Callable[[Any], None]] = {
    **dict.fromkeys(("chameleon", "emu3"), _words),
    **dict.fromkeys(("glm46v", "glm4v", "glm_ocr", "glmga", "paddleocr_vl"), _multiple(2, 3, 3)),
    **dict.fromkeys(("qwen2_5_omni_thinker", "qwen2_5_vl", "qwen2_vl"), _multiple(2, 3, 3)),
    **dict.fromkeys(("kimi_k25", "mistral_large4"), LATENT),
    "blip": _blip,
    "cohere_compass": _kinds,
    "deepseek_ocr2": _text(mlp_layer_types=["dense", "sparse"], num_experts_per_tok=2),
    "ernie4_5_vl_moe": _multiple(3, 3, 2),
    "gemma3n": _text(num_kv_shared_layers=0),
    "glm5_next": _text(num_key_value_heads=4, qk_rope_head_dim=0, qk_head_dim=16, head_dim=0),
    "glm4v_moe": _multiple(1, 1, 2),
    "granite4_vision": _granite,
    "hunyuan_vl": _hunyuan,
    "inkling2": _inkling,
    "molmo2": _molmo,
    "perception_lm": _perception,
    "mistral4": _text(num_key_value_heads=4, qk_head_dim=32, head_dim=32),
    "dots3_note": _text(num_key_value_heads=4, qk_head_dim=32, head_dim=64),
    "qwen4_exp": _text(
        indexer_n_heads=2, indexer_kv_heads=1, indexer_head_dim=16, indexer_budget=64, indexer_compress_ratio=4
    ),
    "step3p7": _step,
}
"""What else a type needs to be small."""


def configuration(kind: str) -> Any:
    """A small configuration of an image-text type."""
    config: Any = transformers.CONFIG_MAPPING[kind]()
    shrink(config)
    TWEAKS.get(kind, lambda _: None)(config)
    return config
